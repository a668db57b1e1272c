/** A cluster's context in the user's kubeconfig, beside those of other clusters. Pure. */
import { parse, stringify } from "yaml";

interface Named {
  name: string;
}

interface Kubeconfig {
  apiVersion?: string;
  kind?: string;
  clusters?: Named[] | null;
  users?: Named[] | null;
  contexts?: Named[] | null;
  "current-context"?: string;
}

const without = (list: Named[] | null | undefined, name: string): Named[] =>
  (list ?? []).filter((each) => each.name !== name);

const read = (text: string | undefined): Kubeconfig =>
  (parse(text ?? "") as Kubeconfig | null) ?? { apiVersion: "v1", kind: "Config" };

/** `own` has one cluster, user and context of that name; it becomes the current one. */
export function withContext(text: string | undefined, own: string, name: string): string {
  const known = read(text);
  const added = read(own);
  return stringify({
    ...known,
    clusters: [...without(known.clusters, name), ...(added.clusters ?? [])],
    users: [...without(known.users, name), ...(added.users ?? [])],
    contexts: [...without(known.contexts, name), ...(added.contexts ?? [])],
    "current-context": name,
  });
}

/** Undefined where nothing else was in it. */
export function withoutContext(text: string, name: string): string | undefined {
  const known = read(text);
  const contexts = without(known.contexts, name);
  if (contexts.length === 0) return undefined;
  const current = known["current-context"];
  return stringify({
    ...known,
    clusters: without(known.clusters, name),
    users: without(known.users, name),
    contexts,
    "current-context": current === name ? contexts[0]?.name : current,
  });
}

/** Renames the one cluster, user and context of a server's own kubeconfig. */
export function renamed(own: string, server: string, name: string): string {
  const config = parse(own) as {
    clusters: { cluster: object }[];
    users: { user: object }[];
  };
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { ...config.clusters[0]?.cluster, server } }],
    users: [{ name, user: config.users[0]?.user }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    "current-context": name,
  });
}
