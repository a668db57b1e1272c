/**
 * Every setting of server and agent, once: flags, `BRAMBLE_…` variables and keys of the config file
 * are made from it. A flag wins over the environment, the environment over the file.
 */
import { isIPv4, isIPv6 } from "node:net";
import { parse as parseYaml } from "yaml";
import { z } from "zod";
import { contains } from "#base/cidr.ts";
import { messageOf, UsageError } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import { checkName } from "#resources/names.ts";
import { isReleaseKey } from "./release/signature.ts";

function isRange(text: string, v6: boolean): boolean {
  const [address = "", bits = ""] = text.split("/");
  const fits = v6 ? isIPv6(address) && Number(bits) <= 112 : isIPv4(address) && Number(bits) <= 30;
  return fits && /^\d+$/.test(bits);
}
/** One of IPv4, then, for dual-stack, one of IPv6. */
const both = (isOne: (text: string, v6: boolean) => boolean, message: string) =>
  z.string().refine((text) => {
    const [v4 = "", v6, ...more] = text.split(",");
    return isOne(v4, false) && (v6 === undefined || isOne(v6, true)) && more.length === 0;
  }, message);
const cidr = both(
  isRange,
  "must be an IPv4 range such as 10.42.0.0/16, and for dual-stack one of IPv6: RANGE,RANGE",
);
const ip = z.string().refine(isIPv4, "must be an IPv4 address");
const ips = both(
  (text, v6) => (v6 ? isIPv6(text) : isIPv4(text)),
  "must be an IPv4 address, and for dual-stack one of IPv6: ADDRESS,ADDRESS",
);
const PORT = "must be a port from 1 to 65535";
const port = z.coerce.number(PORT).int(PORT).min(1, PORT).max(65535, PORT);
const list = z
  .union([z.string(), z.array(z.string())])
  .transform((value) => [value].flat().flatMap((part) => part.split(",").filter((s) => s !== "")));
const PARTS = ["ingress", "dns", "proxy", "storage", "discovery", "metrics"] as const;
const range = z
  .string()
  .regex(/^\d+-\d+$/, "must be a range such as 30000-32767")
  .transform((text) => {
    const [from = 0, to = 0] = text.split("-").map(Number);
    return { from, to };
  })
  .refine(
    ({ from, to }) => from > 0 && from <= to && to <= 65535,
    "must be ports, the lower first",
  );
const name = z
  .string()
  .refine(
    (text) => checkName(text, "subdomain", "").length === 0,
    "must be a DNS name in lower case",
  );
const count = z.coerce.number("must be a number").int("must be a whole number").min(0);
const seconds = z.coerce.number("must be a number of seconds").int().min(0);

/** Shared by server and agent. */
const nodeShape = {
  dataDir: z.string().default("/var/lib/bramble").describe("where state is kept"),
  nodeName: name.optional().describe("name of this node (default: its host name)"),
  nodeIp: ips.optional().describe("address of this node (default: that of the default route)"),
  containerdAddress: z
    .string()
    .default("/run/containerd/containerd.sock")
    .describe("containerd's socket"),
  containerdNamespace: z.string().default("bramble").describe("containerd namespace to use"),
  nerdctl: z.string().default("nerdctl").describe("nerdctl program"),
  cniBinDir: z.string().default("/usr/lib/cni").describe("folder of the CNI plugins"),
  network: z.enum(["host-gw", "vxlan", "none"]).default("host-gw").describe("routes between nodes"),
  registryHostsDirs: list
    .default([])
    .describe("folders of containerd's hosts.toml: mirrors and certificates of registries"),
  registryConfig: z
    .string()
    .default("/etc/bramble/registry.json")
    .describe("this node's credentials for registries, as Docker's config.json"),
  pullProxy: z.url().optional().describe("URL of a proxy to fetch images through"),
  pullNoProxy: list.default([]).describe("names and addresses to fetch from without the proxy"),
  shutdownGraceSeconds: seconds
    .default(30)
    .describe("seconds that pods have to end when the machine goes down"),
  proxyMode: z
    .enum(["auto", "iptables", "nftables"])
    .default("auto")
    .describe("packet rules for Services; auto: nftables where they are many"),
  nodeLabels: list.default([]).describe("labels of this node, KEY=VALUE, comma-separated"),
  nodeTaints: list.default([]).describe("taints at registration, KEY=VALUE:EFFECT"),
  systemReserved: list
    .default([])
    .describe("kept back from pods for the machine's own programs, cpu=250m,memory=200Mi"),
  podMaxPids: z.coerce
    .number("must be a number")
    .int("must be a whole number")
    .refine((value) => value === -1 || value > 0, "must be 1 or more, or -1 for no limit")
    .default(-1)
    .describe("processes that a container may have"),
  allowedUnsafeSysctls: list
    .default([])
    .describe("sysctls that pods may set beside the safe ones; NAME or NAME*"),
  httpPort: port.default(80).describe("port of the Ingress for HTTP"),
  tlsPort: port.default(443).describe("port of the Ingress for HTTPS"),
  accessLog: z.string().optional().describe("file of the Ingress's access log (default: none)"),
  disable: list
    .pipe(z.array(z.enum(PARTS)))
    .default([])
    .describe(`parts to leave out: ${PARTS.join(",")}`),
  releaseKeys: list
    .pipe(z.array(z.string().refine(isReleaseKey, "must be Ed25519 public keys in base64")))
    .default([])
    .describe("public keys whose releases are accepted too, base64, comma-separated"),
  allowUnsigned: z
    .boolean()
    .default(false)
    .describe("upgrade to a program of unknown origin, which gets root on this machine"),
  token: z.string().optional().describe("token to join with"),
  logLevel: z.enum(["debug", "info", "warn", "error"]).default("info").describe("least level"),
  logFormat: z.enum(["text", "json"]).default("text").describe("form of log lines"),
};

export const serverShape = {
  ...nodeShape,
  httpsPort: port.default(6443).describe("port of the API"),
  bindAddress: ip.optional().describe("address that the API listens on; all if not given"),
  clusterCidr: cidr.default("10.42.0.0/16").describe("range of pod addresses"),
  serviceCidr: cidr.default("10.43.0.0/16").describe("range of Service addresses"),
  clusterDns: ips.default("10.43.0.10").describe("address of the cluster's DNS"),
  clusterDomain: z.string().default("cluster.local").describe("domain of the cluster's DNS"),
  serviceNodePortRange: range.default({ from: 30000, to: 32767 }).describe("range of node ports"),
  defaultTolerationSeconds: seconds
    .default(2)
    .describe("seconds that pods stay bound to a node that is gone, unless they say otherwise"),
  nodeGraceSeconds: seconds
    .min(1)
    .default(limits.nodeLeaseDurationMs / 1000)
    .describe("seconds of silence after which a node counts as gone"),
  datastore: z
    .string()
    .regex(/^(sqlite|etcd=[^\s,]+(,[^\s,]+)*)$/, "must be sqlite or etcd=URL,URL,URL")
    .default("sqlite")
    .describe("where the state is: sqlite, or etcd=URL,URL,URL for several servers"),
  etcdCafile: z.string().optional().describe("CA that etcd's certificates are checked against"),
  etcdCertfile: z.string().optional().describe("certificate to show to etcd"),
  etcdKeyfile: z.string().optional().describe("key of that certificate"),
  etcdPrefix: z
    .string()
    .regex(/^\/([^/\s]+\/)+$/, "must begin and end with a slash, as /bramble/")
    .default("/bramble/")
    .describe("what this cluster's keys in etcd begin with"),
  serverToken: z
    .string()
    .min(16, "must have 16 characters or more")
    .optional()
    .describe("secret that the servers of one etcd share (default: made by the first of them)"),
  tlsSan: list.default([]).describe("more names and addresses for the API's certificate"),
  maxRequestsInflight: count.default(400).describe("requests that read, under way at once"),
  maxMutatingRequestsInflight: count
    .default(200)
    .describe("and that write; the sum is shared out by priority and fairness"),
  auditPolicyFile: z.string().optional().describe("what is written into the audit log"),
  auditLogPath: z.string().optional().describe("file of the audit log, or - for standard output"),
  auditLogMaxsize: count.default(100).describe("megabytes of the audit log before it is rotated"),
  auditLogMaxbackup: count.default(10).describe("old files of the audit log that stay; 0: all"),
  auditLogMaxage: count.default(0).describe("days that old files of it stay; 0: for ever"),
  encryptSecrets: z.boolean().default(false).describe("encrypt Secrets in the datastore"),
  encryptionKeyFile: z
    .string()
    .optional()
    .describe("keys of --encrypt-secrets (default: encryption-keys in the data directory)"),
  agent: z.boolean().default(true).describe("run no node agent in this process"),
};

export const agentShape = {
  ...nodeShape,
  server: list
    .pipe(z.array(z.url({ protocol: /^https$/, error: "must be an https URL, or several" })))
    .default([])
    .describe("URLs of servers, comma-separated (default: found by mDNS)"),
};

const serverSchema = z.strictObject(serverShape);
const agentSchema = z.strictObject(agentShape);
export type ServerSettings = z.output<typeof serverSchema>;
export type AgentSettings = z.output<typeof agentSchema>;
export type NodeSettings = Pick<ServerSettings & AgentSettings, keyof typeof nodeShape>;

const kebab = (key: string): string => key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
const camel = (key: string): string => key.replace(/-([a-z])/g, (_, c: string) => c.toUpperCase());

export const flagOf = (key: string): string => `--${kebab(key)}`;
export const variableOf = (key: string): string =>
  `BRAMBLE_${kebab(key).replaceAll("-", "_").toUpperCase()}`;

export interface Sources {
  flags: Record<string, unknown>;
  env: Record<string, string | undefined>;
  /** Text of the config file; undefined where there is none. */
  file: string | undefined;
  filePath: string;
}

const asBoolean = (text: string): boolean | string =>
  text === "true" ? true : text === "false" ? false : text;

function fromFile(sources: Sources, known: ReadonlySet<string>): Record<string, unknown> {
  if (sources.file === undefined) return {};
  let parsed: unknown;
  try {
    parsed = parseYaml(sources.file) ?? {};
  } catch (error) {
    throw new UsageError(`${sources.filePath}: not YAML: ${messageOf(error).replace(/:$/, "")}`);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new UsageError(`${sources.filePath}: must be a map of settings`);
  }
  return Object.fromEntries(
    Object.entries(parsed).map(([key, value]) => {
      if (!known.has(camel(key)) || key !== kebab(camel(key))) {
        const hint = `known keys: ${[...known].map(kebab).sort().join(", ")}`;
        throw new UsageError(`${sources.filePath}: unknown key "${key}"`, { hint });
      }
      return [camel(key), value as unknown];
    }),
  );
}

function load<T extends z.ZodType>(schema: T, keys: string[], sources: Sources): z.output<T> {
  const file = fromFile(sources, new Set([...keys, ...ALL_KEYS]));
  const merged: Record<string, unknown> = {};
  const from: Record<string, string> = {};
  for (const key of keys) {
    const variable = sources.env[variableOf(key)];
    if (sources.flags[key] !== undefined) {
      const flag = sources.flags[key];
      merged[key] = typeof flag === "string" ? asBoolean(flag) : flag;
      from[key] = flagOf(key);
    } else if (variable !== undefined) {
      merged[key] = asBoolean(variable);
      from[key] = variableOf(key);
    } else if (file[key] !== undefined) {
      merged[key] = file[key];
      from[key] = `${sources.filePath}: ${kebab(key)}`;
    }
  }
  const result = schema.safeParse(merged);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const key = String(issue?.path[0] ?? "");
  throw new UsageError(`${from[key] ?? flagOf(key)}: ${issue?.message ?? "invalid value"}`);
}

/** One file serves both commands, so a key of the other one is no mistake. */
const ALL_KEYS = [...Object.keys(serverShape), ...Object.keys(agentShape)];

/** What no setting can know alone. */
function checkTogether(settings: ServerSettings): void {
  if ((settings.auditPolicyFile === undefined) !== (settings.auditLogPath === undefined)) {
    throw new UsageError("--audit-policy-file and --audit-log-path go together, give both");
  }
  const { clusterCidr, serviceCidr, clusterDns } = settings;
  const [pods, services, dns] = [clusterCidr, serviceCidr, clusterDns].map((list) =>
    list.split(","),
  ) as [string[], string[], string[]];
  if (pods.length !== services.length) {
    throw new UsageError(
      `--cluster-cidr ${clusterCidr} and --service-cidr ${serviceCidr} differ in families`,
    );
  }
  const overlap = pods.some((one, i) => {
    const other = services[i] ?? "";
    return contains(one, other) || contains(other, one);
  });
  if (overlap) {
    throw new UsageError(`--cluster-cidr ${clusterCidr} and --service-cidr ${serviceCidr} overlap`);
  }
  if (!dns.every((address, i) => contains(services[i] ?? "", address))) {
    throw new UsageError(`--cluster-dns ${clusterDns} is not in --service-cidr ${serviceCidr}`);
  }
}

export function loadServerSettings(sources: Sources): ServerSettings {
  const settings = load(serverSchema, Object.keys(serverShape), sources);
  checkTogether(settings);
  return settings;
}

export const loadAgentSettings = (sources: Sources): AgentSettings =>
  load(agentSchema, Object.keys(agentShape), sources);
