/** The file that kubectl and every other client understands. */
import { parse, stringify } from "yaml";
import { readText, writeDurably } from "#base/files.ts";

export interface NamedServer {
  name: string;
  server: string;
}

export interface KubeconfigParts {
  /** Who is asked where no other context is chosen. */
  server: string;
  caPem: string;
  /** As the file has it: `token`, or paths of `client-certificate` and `client-key`. */
  user: Readonly<Record<string, string>>;
  /** All servers of the cluster: kubectl asks one, so each has a context `bramble-NAME`. */
  others?: readonly NamedServer[];
}

const NAME = "bramble";

interface Context {
  name: string;
  context: Record<string, string>;
}

interface Known {
  clusters?: { cluster: { server: string; "certificate-authority-data": string } }[];
  "current-context"?: string;
  contexts?: Context[];
}

function knownOf(text: string | undefined): Known {
  try {
    return (parse(text ?? "") as Known | null) ?? {};
  } catch {
    return {};
  }
}

/** `before`: the file as it was; the context and the namespaces that were chosen in it stay. */
export function kubeconfig(parts: KubeconfigParts, before?: string): string {
  const { server, caPem, user, others = [] } = parts;
  const known = knownOf(before);
  const all = [
    { name: NAME, server },
    ...others.map((other) => ({ name: `${NAME}-${other.name}`, server: other.server })),
  ];
  const chosen = all.find(({ name }) => name === known["current-context"]);
  const ca = Buffer.from(caPem).toString("base64");
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: all.map((each) => ({
      name: each.name,
      cluster: { server: each.server, "certificate-authority-data": ca },
    })),
    users: [{ name: NAME, user }],
    contexts: all.map(({ name }) => {
      const namespace = known.contexts?.find((one) => one.name === name)?.context["namespace"];
      return { name, context: { cluster: name, user: NAME, ...(namespace && { namespace }) } };
    }),
    "current-context": chosen?.name ?? NAME,
  });
}

/** The servers that it names. */
export function serversIn(text: string | undefined): { server: string; caPem: string }[] {
  const { clusters = [] } = knownOf(text);
  return clusters.map(({ cluster }) => ({
    server: cluster.server,
    caPem: Buffer.from(cluster["certificate-authority-data"], "base64").toString(),
  }));
}

/** With another token for users that have the old one; undefined where none has. */
export function withToken(text: string, old: string, now: string): string | undefined {
  const known = parse(text) as { users?: { user?: { token?: string } }[] } | null;
  const users = known?.users?.filter(({ user }) => user?.token === old) ?? [];
  for (const { user } of users) if (user !== undefined) user.token = now;
  return users.length === 0 ? undefined : stringify(known);
}

/** Writes the file where it says something new. */
export function saveKubeconfig(path: string, parts: KubeconfigParts): void {
  const before = readText(path);
  const text = kubeconfig(parts, before);
  if (text !== before) writeDurably(path, text);
}
