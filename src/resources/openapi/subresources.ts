/** Subresources that only some built-in kinds have. */
import type { Kind } from "#resources/kind.ts";
import {
  type Operation,
  type Parameter,
  param,
  readAndWrite,
} from "#resources/openapi/operation.ts";
import { schemaName } from "#resources/openapi/schemas.ts";

type Id = (verb: string, suffix?: string) => string;

/** A subresource that takes another kind. */
interface Taken {
  readonly name: string;
  readonly body: string;
  readonly gvk: Operation["gvk"];
}

const TAKEN: Readonly<Record<string, readonly Taken[]>> = {
  pods: [
    {
      name: "binding",
      body: "io.k8s.api.core.v1.Binding",
      gvk: { group: "", kind: "Binding", version: "v1" },
    },
    {
      name: "eviction",
      body: "io.k8s.api.policy.v1.Eviction",
      gvk: { group: "policy", kind: "Eviction", version: "v1" },
    },
  ],
  serviceaccounts: [
    {
      name: "token",
      body: "io.k8s.api.authentication.v1.TokenRequest",
      gvk: { group: "authentication.k8s.io", kind: "TokenRequest", version: "v1" },
    },
  ],
};

/** Parts of the kind itself. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  pods: ["ephemeralcontainers", "resize"],
  certificatesigningrequests: ["approval"],
};

const text = (...names: string[]): Parameter[] => param("string", ...names);
const flags = (...names: string[]): Parameter[] => param("boolean", ...names);
const counts = (...names: string[]): Parameter[] => param("integer", ...names);

const STREAM = [...text("container"), ...flags("stdin", "stdout", "stderr", "tty")];

interface Connected {
  readonly name: string;
  readonly query: readonly Parameter[];
  readonly options: string;
}

const proxy = (options: string): Connected => ({ name: "proxy", query: text("path"), options });

const CONNECTED: Readonly<Record<string, readonly Connected[]>> = {
  pods: [
    { name: "attach", query: STREAM, options: "PodAttachOptions" },
    { name: "exec", query: [...text("command"), ...STREAM], options: "PodExecOptions" },
    { name: "portforward", query: counts("ports"), options: "PodPortForwardOptions" },
    proxy("PodProxyOptions"),
  ],
  nodes: [proxy("NodeProxyOptions")],
  services: [proxy("ServiceProxyOptions")],
};

const LOG = [
  ...text("container"),
  ...flags("follow", "insecureSkipTLSVerifyBackend"),
  ...counts("limitBytes"),
  ...flags("previous"),
  ...counts("sinceSeconds"),
  ...text("stream"),
  ...counts("tailLines"),
  ...flags("timestamps"),
];

const title = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);

export function moreOf(kind: Kind, item: string, id: Id): Operation[] {
  if (typeof kind.schema !== "string") return [];
  const gvk = { group: kind.group, kind: kind.kind, version: kind.version };
  const name = schemaName(kind);
  const out: Operation[] = [];
  for (const { name: part, body, gvk: other } of TAKEN[kind.plural] ?? []) {
    const path = `${item}/${part}`;
    const created = { body, answer: body, codes: [200, 201, 202], query: [] };
    const postId = id("create", title(part));
    out.push({ path, method: "post", action: "post", gvk: other, id: postId, ...created });
  }
  for (const part of PARTS[kind.plural] ?? []) {
    const partId = (verb: string): string => id(verb, title(part));
    out.push(
      ...readAndWrite({ path: `${item}/${part}`, gvk, name, serves: () => true, id: partId }),
    );
  }
  if (kind.plural === "namespaces") {
    const path = `${item}/finalize`;
    const put = { body: name, answer: name, codes: [200, 201], query: [] };
    out.push({ path, method: "put", action: "put", gvk, id: id("replace", "Finalize"), ...put });
  }
  if (kind.plural === "pods") {
    const log = { path: `${item}/log`, gvk, codes: [200], query: LOG, id: id("read", "Log") };
    out.push({ ...log, method: "get", action: "get" });
  }
  for (const { name: part, query, options } of CONNECTED[kind.plural] ?? []) {
    const about = { path: `${item}/${part}`, gvk: { ...gvk, kind: options }, codes: [200], query };
    for (const method of ["get", "post"] as const) {
      const connectId = id(`connect${title(method)}`, title(part));
      out.push({ ...about, method, action: "connect", id: connectId });
    }
  }
  return out;
}
