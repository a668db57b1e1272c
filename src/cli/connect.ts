/**
 * The cluster that a command line speaks to: a kubeconfig by --kubeconfig, $KUBECONFIG,
 * ~/.kube/config or, on the server itself, the one in its data directory
 * (kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig).
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { messageOf, OperatorError } from "#base/errors.ts";
import { type Endpoint, fetchFrom, socketFrom } from "#cli/network.ts";
import { telling } from "#cli/warnings.ts";
import type { Client } from "#client/client.ts";
import { createClient } from "#client/http.ts";

const schema = z.object({
  "current-context": z.string().optional(),
  clusters: z
    .array(
      z.object({
        name: z.string(),
        cluster: z.object({
          server: z.string(),
          "certificate-authority": z.string().optional(),
          "certificate-authority-data": z.string().optional(),
          "insecure-skip-tls-verify": z.boolean().optional(),
        }),
      }),
    )
    .default([]),
  users: z
    .array(
      z.object({
        name: z.string(),
        user: z.object({
          token: z.string().optional(),
          tokenFile: z.string().optional(),
          "client-certificate": z.string().optional(),
          "client-certificate-data": z.string().optional(),
          "client-key": z.string().optional(),
          "client-key-data": z.string().optional(),
        }),
      }),
    )
    .default([]),
  contexts: z
    .array(
      z.object({
        name: z.string(),
        context: z.object({
          cluster: z.string(),
          user: z.string(),
          namespace: z.string().optional(),
        }),
      }),
    )
    .default([]),
});

type Config = z.output<typeof schema>;

export interface Connection {
  client: Client;
  /** Namespace of the context. */
  namespace: string;
  server: string;
  /** A WebSocket to a path of the API, for exec, attach and port-forward. */
  socket(pathAndQuery: string, protocols: readonly string[]): WebSocket;
}

export interface ConnectOptions {
  kubeconfig?: string | undefined;
  context?: string | undefined;
  /** These win over what the kubeconfig says. */
  server?: string | undefined;
  token?: string | undefined;
  insecureSkipTlsVerify?: boolean | undefined;
  env: Readonly<Record<string, string | undefined>>;
  /** What the server warns of. */
  warn?(text: string): void;
}

/** The server's own; readable by root alone. */
const SERVER_KUBECONFIG = "/var/lib/bramble/kubeconfig";

function findFile(options: ConnectOptions): string | undefined {
  const given = options.kubeconfig ?? options.env["KUBECONFIG"]?.split(":").find(existsSync);
  if (given !== undefined) return given;
  const home = `${options.env["HOME"] ?? "/root"}/.kube/config`;
  return [home, SERVER_KUBECONFIG].find(existsSync);
}

function readConfig(path: string): Config {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new OperatorError(`cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
  try {
    return schema.parse(parse(text) ?? {});
  } catch (cause) {
    const why = cause instanceof z.ZodError ? z.prettifyError(cause) : messageOf(cause);
    throw new OperatorError(`${path} is not a kubeconfig: ${why.split("\n")[0]}`, { cause });
  }
}

/** PEM given in the file itself, in base64, or by the path of another. */
function pem(folder: string, data: string | undefined, file: string | undefined) {
  if (data !== undefined) return Buffer.from(data, "base64").toString();
  return file === undefined ? undefined : readFileSync(resolve(folder, file), "utf8");
}

function fromFile(path: string, wanted: string | undefined): Endpoint & { namespace: string } {
  const config = readConfig(path);
  const name = wanted ?? config["current-context"] ?? "";
  const context = config.contexts.find((each) => each.name === name)?.context;
  const cluster = config.clusters.find((each) => each.name === context?.cluster)?.cluster;
  const user = config.users.find((each) => each.name === context?.user)?.user ?? {};
  if (context === undefined || cluster === undefined) {
    throw new OperatorError(`${path} has no context "${name}" with a cluster`);
  }
  const folder = dirname(path);
  const ca = pem(folder, cluster["certificate-authority-data"], cluster["certificate-authority"]);
  const cert = pem(folder, user["client-certificate-data"], user["client-certificate"]);
  const key = pem(folder, user["client-key-data"], user["client-key"]);
  return {
    server: cluster.server,
    token: user.token ?? pem(folder, undefined, user.tokenFile)?.trim(),
    namespace: context.namespace ?? "default",
    tls: {
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      rejectUnauthorized: cluster["insecure-skip-tls-verify"] !== true,
    },
  };
}

export function connect(options: ConnectOptions): Connection {
  const path = findFile(options);
  if (path === undefined && options.server === undefined) {
    throw new OperatorError("no cluster is configured", {
      hint: "name a kubeconfig with --kubeconfig or $KUBECONFIG",
    });
  }
  const found =
    path === undefined
      ? { server: "", token: undefined, namespace: "default", tls: { rejectUnauthorized: true } }
      : fromFile(path, options.context);
  const endpoint: Endpoint = {
    server: (options.server ?? found.server).replace(/\/$/, ""),
    token: options.token ?? found.token,
    tls: {
      ...found.tls,
      ...(options.insecureSkipTlsVerify === true && { rejectUnauthorized: false }),
    },
  };
  const fetch = fetchFrom(endpoint);
  const { warn } = options;
  return {
    client: createClient(warn === undefined ? fetch : telling(fetch, warn)),
    namespace: found.namespace,
    server: endpoint.server,
    socket: socketFrom(endpoint),
  };
}
