/**
 * What is served: groups, versions and resources, in the old form and the aggregated one
 * (KEP-3352).
 */
import type { Registry, Resource } from "#api/registry.ts";
import { subresourcesOf } from "#api/subresources/all.ts";
import type { Subresource } from "#api/subresources/subresource.ts";

const VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/** Groups in the order of upstream's priorities; custom ones follow by name. */
const ORDER = [
  "apiregistration.k8s.io",
  "apps",
  "events.k8s.io",
  "authentication.k8s.io",
  "authorization.k8s.io",
  "autoscaling",
  "batch",
  "certificates.k8s.io",
  "networking.k8s.io",
  "policy",
  "rbac.authorization.k8s.io",
  "storage.k8s.io",
  "admissionregistration.k8s.io",
  "apiextensions.k8s.io",
  "scheduling.k8s.io",
  "coordination.k8s.io",
  "node.k8s.io",
  "discovery.k8s.io",
  "resource.k8s.io",
  "flowcontrol.apiserver.k8s.io",
  "metrics.k8s.io",
];

/** A group or version that somebody else serves and we only show. */
export interface Foreign {
  readonly group: string;
  readonly version: string;
  /** As its own aggregated discovery shows them; undefined while it does not answer. */
  readonly resources: readonly object[] | undefined;
}

const versionRank = (version: string): number[] => {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  if (match === null) return [-1, 0, 0];
  const stage = match[2] === undefined ? 2 : match[2] === "beta" ? 1 : 0;
  return [stage, Number(match[1]), Number(match[3] ?? 0)];
};

/** Stable before beta before alpha, then the higher number (apimachinery util/version). */
export function compareVersions(a: string, b: string): number {
  const left = versionRank(a);
  const right = versionRank(b);
  for (let i = 0; i < left.length; i++) {
    const difference = (right[i] ?? 0) - (left[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

const groupRank = (group: string): number => {
  const at = ORDER.indexOf(group);
  return at < 0 ? ORDER.length : at;
};

const compareGroups = (a: string, b: string): number =>
  groupRank(a) - groupRank(b) || (a < b ? -1 : a > b ? 1 : 0);

const verbsOf = ({ kind }: Resource): string[] =>
  VERBS.filter((verb) => !kind.verbsLeftOut.includes(verb));

function oldStyle(resource: Resource): object[] {
  const { kind } = resource;
  const self = {
    name: kind.plural,
    singularName: kind.singular,
    namespaced: kind.namespaced,
    kind: kind.kind,
    verbs: verbsOf(resource),
    ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
    ...(kind.categories.length > 0 && { categories: kind.categories }),
    ...(verbsOf(resource).includes("list") && { storageVersionHash: hashOf(resource) }),
  };
  return [self, ...subresourcesOf(resource).map((sub) => oldStyleSub(resource, sub))];
}

function oldStyleSub({ kind }: Resource, sub: Subresource): object {
  return {
    name: `${kind.plural}/${sub.name}`,
    singularName: "",
    namespaced: kind.namespaced,
    ...(sub.kind !== undefined &&
      (sub.kind.group !== kind.group || sub.kind.version !== kind.version) && {
        group: sub.kind.group,
        version: sub.kind.version,
      }),
    kind: sub.kind?.kind ?? kind.kind,
    verbs: sub.verbs,
  };
}

function hashOf({ bucket, stored }: Resource): string {
  const text = `${bucket}/${stored.kind.version}/${stored.kind.kind}`;
  return new Bun.CryptoHasher("sha256").update(text).digest("base64").slice(0, 11).concat("=");
}

function newStyle(resource: Resource): object {
  const { kind } = resource;
  const subs = subresourcesOf(resource);
  return {
    resource: kind.plural,
    responseKind: { group: kind.group, version: kind.version, kind: kind.kind },
    scope: kind.namespaced ? "Namespaced" : "Cluster",
    singularResource: kind.singular,
    verbs: verbsOf(resource),
    ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
    ...(kind.categories.length > 0 && { categories: kind.categories }),
    ...(subs.length > 0 && {
      subresources: subs.map((sub) => ({
        subresource: sub.name,
        responseKind: sub.kind ?? { group: kind.group, version: kind.version, kind: kind.kind },
        verbs: sub.verbs,
      })),
    }),
  };
}

const HEADERS = { "content-type": "application/json", "cache-control": "no-cache, private" };
const AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

export interface Discovery {
  /**
   * `/api`, `/apis` and what is below them down to a group-version; undefined for anything else.
   */
  answer(request: Request, path: string): Response | undefined;
}

type Tree = ReadonlyMap<string, ReadonlyMap<string, Resource[]>>;

const json = (body: object): Response => new Response(JSON.stringify(body), { headers: HEADERS });

function groupOf(name: string, versions: Iterable<string>): object {
  const all = [...versions].map((version) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: all, preferredVersion: all[0] };
}

function wantsAggregated(request: Request): boolean {
  const accept = (request.headers.get("accept") ?? "").replaceAll(" ", "");
  const first = accept.split(",").find((type) => type !== "");
  return first?.includes("as=APIGroupDiscoveryList") === true && /v=v2(;|$)/.test(first);
}

class Discoverer implements Discovery {
  readonly #registry: Registry;
  readonly #foreign: () => readonly Foreign[];
  readonly #serverAddress: string;
  #planted: { generation: number; foreign: string; tree: Tree } | undefined;

  constructor(registry: Registry, foreign: () => readonly Foreign[], serverAddress: string) {
    this.#registry = registry;
    this.#foreign = foreign;
    this.#serverAddress = serverAddress;
  }

  /** Group -> version -> resources, both in order; made again only when something changed. */
  #tree(): Tree {
    const { generation } = this.#registry;
    const others = this.#foreign()
      .map(({ group, version }) => `${group}/${version}`)
      .join();
    if (this.#planted?.generation !== generation || this.#planted.foreign !== others) {
      this.#planted = { generation, foreign: others, tree: this.#plant() };
    }
    return this.#planted.tree;
  }

  #plant(): Tree {
    const groups = new Map<string, Map<string, Resource[]>>();
    for (const resource of this.#registry.all()) {
      const { group, version } = resource.kind;
      const versions = groups.get(group) ?? new Map<string, Resource[]>();
      groups.set(group, versions);
      versions.set(version, [...(versions.get(version) ?? []), resource]);
    }
    for (const { group, version } of this.#foreign()) {
      const versions = groups.get(group) ?? new Map<string, Resource[]>();
      groups.set(group, versions);
      if (!versions.has(version)) versions.set(version, []);
    }
    const sorted = [...groups].sort(([a], [b]) => compareGroups(a, b));
    return new Map(
      sorted.map(([group, versions]) => [
        group,
        new Map([...versions].sort(([a], [b]) => compareVersions(a, b))),
      ]),
    );
  }

  #aggregated(request: Request, core: boolean): Response {
    const items = [...this.#tree()]
      .filter(([group]) => (group === "") === core)
      .map(([group, versions]) => ({
        metadata: { ...(group !== "" && { name: group }), creationTimestamp: null },
        versions: [...versions].map(([version, resources]) => {
          const other = this.#foreign().find((f) => f.group === group && f.version === version);
          return {
            version,
            resources:
              resources.length > 0 || other === undefined
                ? resources.map(newStyle)
                : (other.resources ?? []),
            freshness: other !== undefined && other.resources === undefined ? "Stale" : "Current",
          };
        }),
      }));
    const text = JSON.stringify({
      kind: "APIGroupDiscoveryList",
      apiVersion: "apidiscovery.k8s.io/v2",
      metadata: {},
      items,
    });
    const etag = `"${new Bun.CryptoHasher("sha256").update(text).digest("hex").toUpperCase()}"`;
    const headers = { ...HEADERS, "content-type": AGGREGATED, etag, vary: "Accept" };
    if (request.headers.get("if-none-match") === etag) {
      return new Response(null, { status: 304, headers });
    }
    return new Response(text, { headers });
  }

  #resourceList(group: string, version: string): Response | undefined {
    const resources = this.#tree().get(group)?.get(version);
    if (resources === undefined || resources.length === 0) return undefined;
    return json({
      kind: "APIResourceList",
      apiVersion: "v1",
      groupVersion: group === "" ? version : `${group}/${version}`,
      resources: resources.flatMap(oldStyle),
    });
  }

  #core(request: Request): Response {
    if (wantsAggregated(request)) return this.#aggregated(request, true);
    return json({
      kind: "APIVersions",
      versions: ["v1"],
      serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: this.#serverAddress }],
    });
  }

  #groups(request: Request): Response {
    if (wantsAggregated(request)) return this.#aggregated(request, false);
    const all = [...this.#tree()].filter(([group]) => group !== "");
    return json({
      kind: "APIGroupList",
      apiVersion: "v1",
      groups: all.map(([group, versions]) => groupOf(group, versions.keys())),
    });
  }

  answer(request: Request, path: string): Response | undefined {
    const parts = path.split("/").filter((part) => part !== "");
    const [root, first, second] = parts;
    if (root === "api") {
      if (parts.length === 1) return this.#core(request);
      return parts.length === 2 && first !== undefined ? this.#resourceList("", first) : undefined;
    }
    if (root !== "apis") return undefined;
    if (first === undefined) return this.#groups(request);
    if (parts.length === 2) {
      const versions = this.#tree().get(first);
      if (versions === undefined) return undefined;
      return json({ kind: "APIGroup", apiVersion: "v1", ...groupOf(first, versions.keys()) });
    }
    const whole = parts.length === 3 && second !== undefined;
    return whole ? this.#resourceList(first, second) : undefined;
  }
}

export const createDiscovery = (
  registry: Registry,
  foreign: () => readonly Foreign[],
  serverAddress: string,
): Discovery => new Discoverer(registry, foreign, serverAddress);
