/**
 * What can be done with a kind, as operations of an OpenAPI document in neither of its versions.
 */
import { apiVersionOf, type Kind } from "#resources/kind.ts";
import { type Operation, param, readAndWrite, WRITE } from "#resources/openapi/operation.ts";
import { DELETE_OPTIONS, listName, SCALE, STATUS, schemaName } from "#resources/openapi/schemas.ts";
import { moreOf } from "#resources/openapi/subresources.ts";

const LIST = [
  ...param("boolean", "allowWatchBookmarks"),
  ...param("string", "continue", "fieldSelector", "labelSelector"),
  ...param("integer", "limit"),
  ...param("string", "resourceVersion", "resourceVersionMatch"),
  ...param("boolean", "sendInitialEvents"),
  ...param("integer", "timeoutSeconds"),
  ...param("boolean", "watch"),
];
const DELETE = [
  ...param("string", "dryRun"),
  ...param("integer", "gracePeriodSeconds"),
  ...param("boolean", "orphanDependents"),
  ...param("string", "propagationPolicy"),
];

/** `/api/v1` or `/apis/GROUP/VERSION`. */
export const rootOf = (kind: Pick<Kind, "group" | "version">): string =>
  kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;

const title = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function groupTitle(group: string): string {
  if (group === "") return "Core";
  return group
    .replace(/\.k8s\.io$/, "")
    .split(/[.-]/)
    .map(title)
    .join("");
}

interface About {
  readonly kind: Kind;
  readonly collection: string;
  readonly item: string;
  readonly serves: (verb: string) => boolean;
  readonly id: (verb: string, suffix?: string) => string;
}

function aboutOf(kind: Kind): About {
  const root = rootOf(kind);
  const scope = kind.namespaced ? "/namespaces/{namespace}" : "";
  const collection = `${root}${scope}/${kind.plural}`;
  const middle = groupTitle(kind.group) + title(kind.version) + (scope && "Namespaced") + kind.kind;
  return {
    kind,
    collection,
    item: `${collection}/{name}`,
    serves: (verb) => !kind.verbsLeftOut.includes(verb),
    id: (verb, suffix = "") => `${verb}${middle}${suffix}`,
  };
}

export function operationsOf(kind: Kind): Operation[] {
  const about = aboutOf(kind);
  const operations = [
    ...collectionOperations(about),
    ...itemOperations(about),
    ...subresourceOperations(about),
    ...moreOf(kind, about.item, about.id),
  ];
  if (typeof kind.schema === "string") return operations;
  return operations.map((operation) => ({ ...operation, custom: true }));
}

function collectionOperations({ kind, collection, serves, id }: About): Operation[] {
  const gvk = { group: kind.group, kind: kind.kind, version: kind.version };
  const base = { path: collection, gvk };
  const list = { answer: listName(kind), codes: [200], query: LIST };
  const name = schemaName(kind);
  const out: Operation[] = [];
  if (serves("list")) out.push({ ...base, ...list, method: "get", action: "list", id: id("list") });
  if (serves("create")) {
    const codes = [200, 201, 202];
    const write = { body: name, answer: name, codes, query: WRITE };
    out.push({ ...base, ...write, method: "post", action: "post", id: id("create") });
  }
  if (serves("deletecollection")) {
    const query = [...DELETE, ...LIST.filter(({ name: key }) => !/watch|initial/i.test(key))];
    const about = { body: DELETE_OPTIONS, answer: STATUS, codes: [200], query };
    const collectionId = id("delete").replace(/^delete/, "deleteCollection");
    const action = "deletecollection";
    out.push({ ...base, ...about, method: "delete", action, id: collectionId });
  }
  if (kind.namespaced && serves("list")) {
    const path = `${rootOf(kind)}/${kind.plural}`;
    const everywhere = id("list").replace("Namespaced", "");
    const listId = `${everywhere}ForAllNamespaces`;
    out.push({ ...base, ...list, path, method: "get", action: "list", id: listId });
  }
  return out;
}

function itemOperations({ kind, item, serves, id }: About): Operation[] {
  const gvk = { group: kind.group, kind: kind.kind, version: kind.version };
  const name = schemaName(kind);
  const out = readAndWrite({ path: item, gvk, name, serves, id: (verb) => id(verb) });
  if (serves("delete")) {
    out.push({
      path: item,
      method: "delete",
      action: "delete",
      gvk,
      id: id("delete"),
      body: DELETE_OPTIONS,
      answer: kind.gracePeriodSeconds === undefined ? STATUS : name,
      codes: [200, 202],
      query: DELETE,
    });
  }
  return out;
}

function subresourceOperations({ kind, item, id }: About): Operation[] {
  const out: Operation[] = [];
  const serves = (): boolean => true;
  if (kind.subresources.status) {
    const gvk = { group: kind.group, kind: kind.kind, version: kind.version };
    const statusId = (verb: string): string => id(verb, "Status");
    const name = schemaName(kind);
    out.push(...readAndWrite({ path: `${item}/status`, gvk, name, serves, id: statusId }));
  }
  if (kind.subresources.scale !== undefined) {
    const gvk = { group: "autoscaling", kind: "Scale", version: "v1" };
    const scaleId = (verb: string): string => id(verb, "Scale");
    out.push(...readAndWrite({ path: `${item}/scale`, gvk, name: SCALE, serves, id: scaleId }));
  }
  return out;
}

/** Kinds by the path of their document: `api/v1`, `apis/apps/v1`. */
export function byDocument(kinds: readonly Kind[]): Map<string, Kind[]> {
  const out = new Map<string, Kind[]>();
  for (const kind of kinds) {
    const path = kind.group === "" ? `api/${kind.version}` : `apis/${apiVersionOf(kind)}`;
    const same = out.get(path);
    if (same === undefined) out.set(path, [kind]);
    else same.push(kind);
  }
  return out;
}
