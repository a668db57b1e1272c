/**
 * What the server serves, by its own discovery, and how a word of the command line names one of it.
 */
import { OperatorError } from "#base/errors.ts";
import { ask } from "#cli/api.ts";
import type { Client } from "#client/client.ts";

export interface Resource {
  group: string;
  version: string;
  kind: string;
  plural: string;
  singular: string;
  namespaced: boolean;
  shortNames: readonly string[];
  categories: readonly string[];
  verbs: readonly string[];
  subresources: readonly string[];
}

interface Discovered {
  resource: string;
  responseKind?: { group?: string; version?: string; kind?: string };
  scope?: string;
  singularResource?: string;
  verbs?: string[];
  shortNames?: string[];
  categories?: string[];
  subresources?: Array<{ subresource: string }>;
}

interface GroupList {
  items?: Array<{
    metadata?: { name?: string };
    versions?: Array<{ version: string; resources?: Discovered[] }>;
  }>;
}

const AGGREGATED =
  "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

function resourceFrom(group: string, version: string, found: Discovered): Resource {
  const kind = found.responseKind?.kind ?? "";
  return {
    group,
    version,
    kind,
    plural: found.resource,
    singular: found.singularResource || kind.toLowerCase(),
    namespaced: found.scope === "Namespaced",
    shortNames: found.shortNames ?? [],
    categories: found.categories ?? [],
    verbs: found.verbs ?? [],
    subresources: (found.subresources ?? []).map(({ subresource }) => subresource),
  };
}

/** All resources, preferred versions first. */
export async function discover(client: Client): Promise<Resource[]> {
  const lists = await Promise.all(
    ["/api", "/apis"].map((path) => ask<GroupList>(client, { path, accept: AGGREGATED })),
  );
  return lists.flatMap(({ items = [] }) =>
    items.flatMap(({ metadata, versions = [] }) =>
      versions.flatMap(({ version, resources = [] }) =>
        resources.map((each) => resourceFrom(metadata?.name ?? "", version, each)),
      ),
    ),
  );
}

const named = (resource: Resource, word: string): boolean =>
  resource.plural === word ||
  resource.singular === word ||
  resource.kind.toLowerCase() === word ||
  resource.shortNames.includes(word);

/**
 * `pods`, `po`, `deployments.apps`, `deployments.v1.apps`. @throws OperatorError for none of them.
 */
export function findResource(all: readonly Resource[], text: string): Resource {
  const word = text.toLowerCase();
  const [name = "", second, ...rest] = word.split(".");
  const group = second === undefined ? undefined : [second, ...rest].join(".");
  const found =
    all.find((each) => named(each, name) && (group === undefined || each.group === group)) ??
    all.find(
      (each) => named(each, name) && each.version === second && each.group === rest.join("."),
    ) ??
    all.find((each) => named(each, name) && group !== undefined && each.group.startsWith(group));
  if (found !== undefined) return found;
  throw new OperatorError(`the server doesn't have a resource type "${name}"`);
}

/** As `findResource`, and words such as `all` that name many. */
export function findResources(all: readonly Resource[], text: string): Resource[] {
  const inCategory = all.filter(({ categories }) => categories.includes(text.toLowerCase()));
  const once = inCategory.filter(
    (each, at) =>
      inCategory.findIndex((o) => o.group === each.group && o.plural === each.plural) === at,
  );
  return once.length > 0 ? once : [findResource(all, text)];
}

/**
 * `deployment.apps`, or `pod` of the core group: how kubectl names an object's type in its answers.
 */
export const typeName = (resource: Pick<Resource, "group" | "singular">): string =>
  resource.group === "" ? resource.singular : `${resource.singular}.${resource.group}`;
