/**
 * Whether the servers behind APIServices answer, told in each one's status, and what they serve.
 * Looked at when something of it changes, and now and then.
 */
import { groupVersionOf, headersFor, type Remote, type Service } from "#api/aggregation/remote.ts";
import { peek } from "#api/codec.ts";
import { type Core, timestamp } from "#api/core.ts";
import { internalCall } from "#api/ensure.ts";
import { textOf } from "#api/outbound.ts";
import { updateObject } from "#api/write.ts";
import { must } from "#base/assert.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import { type OtherDocument, partOf } from "#resources/openapi/merge.ts";
import type {
  APIServiceCondition,
  Service as CoreService,
  EndpointSlice,
} from "#resources/types.gen.ts";

const BUCKET = "apiregistration.k8s.io/apiservices";
const AGGREGATOR = { name: "system:kube-aggregator", groups: ["system:masters"] };

/** What a server told about itself; it stays when the server goes away. */
export interface Told {
  readonly available: boolean;
  /** In the form of aggregated discovery. */
  readonly resources: readonly object[] | undefined;
  /** Where its OpenAPI document is, with the hash. */
  readonly openApi: string | undefined;
  /** Its part of the old document, from the time when the new one changed last. */
  readonly openApiV2: OtherDocument | undefined;
}

const NOTHING = { resources: undefined, openApi: undefined, openApiV2: undefined };

interface OldResource {
  readonly name: string;
  readonly kind: string;
  readonly group?: string;
  readonly version?: string;
  readonly namespaced: boolean;
  readonly singularName?: string;
  readonly verbs: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
}

/** Resources of the old discovery in the form of the aggregated one. */
export function inNewForm(
  list: { readonly resources?: readonly OldResource[] },
  group: string,
  version: string,
): object[] {
  const all = list.resources ?? [];
  const kindOf = (resource: OldResource): object => ({
    group: resource.group || group,
    version: resource.version || version,
    kind: resource.kind,
  });
  return all
    .filter(({ name }) => !name.includes("/"))
    .map((resource) => {
      const subs = all.filter(({ name }) => name.startsWith(`${resource.name}/`));
      return {
        resource: resource.name,
        responseKind: kindOf(resource),
        scope: resource.namespaced ? "Namespaced" : "Cluster",
        singularResource: resource.singularName ?? "",
        verbs: resource.verbs,
        ...(resource.shortNames && { shortNames: resource.shortNames }),
        ...(resource.categories && { categories: resource.categories }),
        ...(subs.length > 0 && {
          subresources: subs.map((sub) => ({
            subresource: sub.name.slice(resource.name.length + 1),
            responseKind: kindOf(sub),
            verbs: sub.verbs,
          })),
        }),
      };
    });
}

const passed: APIServiceCondition = {
  type: "Available",
  status: "True",
  reason: "Passed",
  message: "all checks passed",
};

const missing = (reason: string, message: string): APIServiceCondition => ({
  type: "Available",
  status: "False",
  reason,
  message,
});

/** Why there is nobody to ask; undefined where there is somebody. */
async function unreachable(
  core: Core,
  { spec }: Service,
): Promise<APIServiceCondition | undefined> {
  const { name = "", namespace = "", port = 443 } = spec?.service ?? {};
  const item = await core.store.get(`core/services/${namespace}/${name}`);
  const what = `service/${name} in "${namespace}"`;
  if (item === undefined) return missing("ServiceNotFound", `${what} is not present`);
  const service = peek<CoreService>(item);
  if (service.spec?.type === "ExternalName") return undefined;
  const found = service.spec?.ports?.find((each) => each.port === port);
  if (found === undefined) {
    return missing("ServicePortError", `${what} is not listening on port ${port}`);
  }
  const page = await core.store.list({
    prefix: `discovery.k8s.io/endpointslices/${namespace}/`,
    filter: ({ labels }) => labels["kubernetes.io/service-name"] === name,
  });
  if (page.items.length === 0) {
    return missing("EndpointsNotFound", `cannot find endpointslices for ${what}`);
  }
  const portName = found.name ?? "";
  const ready = page.items.some((each) => {
    const { ports = [], endpoints } = peek<EndpointSlice>(each);
    return (
      ports.some((one) => (one.name ?? "") === portName) &&
      (endpoints ?? []).some(({ conditions }) => conditions?.ready !== false)
    );
  });
  if (ready) return undefined;
  const message = `endpoints for ${what} have no addresses with port name "${portName}"`;
  return missing("MissingEndpoints", message);
}

export class Availability {
  readonly #core: Core;
  readonly #remote: Remote;
  readonly #services: () => readonly Service[];
  readonly #told = new Map<string, Told>();
  /** Checks under way; a check that is asked for meanwhile follows. */
  readonly #busy = new Map<string, { again: boolean }>();
  readonly #timers = new Map<string, () => void>();
  readonly #ends: Array<() => void> = [];
  #ended = false;

  constructor(core: Core, remote: Remote, services: () => readonly Service[]) {
    this.#core = core;
    this.#remote = remote;
    this.#services = services;
  }

  told(name: string): Told | undefined {
    return this.#told.get(name);
  }

  /** Looks at all services after each change of one. */
  look(): void {
    const all = this.#services();
    if (all.length > 0 && this.#ends.length === 0) this.#follow();
    const names = new Set(all.map(({ metadata }) => metadata.name));
    for (const name of this.#told.keys()) {
      if (names.has(name)) continue;
      this.#told.delete(name);
      this.#timers.get(name)?.();
      this.#timers.delete(name);
    }
    for (const name of names) this.#check(name);
  }

  end(): void {
    this.#ended = true;
    for (const end of this.#ends.splice(0)) end();
    for (const cancel of this.#timers.values()) cancel();
  }

  /** Pods that get ready change endpoints: then it is time to look. */
  #follow(): void {
    const { store, log } = this.#core;
    const follow = (prefix: string, serviceOf: (key: string, labels: Labels) => string): void => {
      const watch = store.watch({
        prefix,
        after: store.revision(),
        onChanges: (changes) => {
          const touched = new Set(
            changes.map(({ item }) => serviceOf(item.key.slice(prefix.length), item.terms.labels)),
          );
          for (const { metadata, spec } of this.#services()) {
            const { namespace, name } = spec?.service ?? {};
            if (touched.has(`${namespace}/${name}`)) this.#check(metadata.name);
          }
        },
        onClosed: (reason) => log.debug("followed no more", { prefix, reason: reason.message }),
      });
      this.#ends.push(() => watch.close());
    };
    follow("core/services/", (key) => key);
    follow("discovery.k8s.io/endpointslices/", (key, labels) => {
      return `${key.split("/", 1)[0]}/${labels["kubernetes.io/service-name"]}`;
    });
  }

  #check(name: string): void {
    if (this.#ended) return;
    const busy = this.#busy.get(name);
    if (busy !== undefined) {
      busy.again = true;
      return;
    }
    this.#timers.get(name)?.();
    const state = { again: false };
    this.#busy.set(name, state);
    void this.#run(name, state);
  }

  async #run(name: string, state: { again: boolean }): Promise<void> {
    let available = false;
    try {
      do {
        state.again = false;
        const service = this.#services().find(({ metadata }) => metadata.name === name);
        if (service === undefined) break;
        available = await this.#checkOnce(service);
      } while (state.again && !this.#ended);
    } catch (error) {
      this.#core.log.warn("an API service cannot be checked", { name, error: messageOf(error) });
    } finally {
      this.#busy.delete(name);
    }
    const exists = this.#services().some(({ metadata }) => metadata.name === name);
    if (this.#ended || !exists) return;
    const delay = available ? limits.aggregationProbeEveryMs : limits.aggregationProbeAgainMs;
    this.#timers.set(
      name,
      this.#core.clock.after(delay, () => this.#check(name)),
    );
  }

  async #checkOnce(service: Service): Promise<boolean> {
    const { name } = service.metadata;
    const before = this.#told.get(name);
    const nobody = await unreachable(this.#core, service);
    if (nobody !== undefined) {
      this.#told.set(name, { ...NOTHING, ...before, available: false });
      await this.#report(service, nobody);
      return false;
    }
    try {
      const resources = await this.#discover(service);
      const documents = await this.#documents(service, before);
      this.#told.set(name, { available: true, resources, ...documents });
      await this.#report(service, passed);
      return true;
    } catch (error) {
      this.#told.set(name, { ...NOTHING, ...before, available: false });
      const message = `failing or missing response: ${messageOf(error)}`;
      await this.#report(service, missing("FailedDiscoveryCheck", message));
      return false;
    }
  }

  async #get(service: Service, path: string): Promise<unknown> {
    const headers = headersFor(new Headers({ accept: "application/json" }), AGGREGATOR);
    const signal = AbortSignal.timeout(limits.aggregationProbeMsMax);
    const answer = await this.#remote(service, { method: "GET", path, headers, signal });
    const text = await textOf(answer);
    if (answer.status < 200 || answer.status >= 300) {
      throw new Error(`bad status from ${path}: ${answer.status}`);
    }
    return JSON.parse(text);
  }

  async #discover(service: Service): Promise<object[]> {
    const { group = "", version = "" } = service.spec ?? {};
    const found = await this.#get(service, `/apis/${group}/${version}`);
    return inNewForm(found as { resources?: OldResource[] }, group, version);
  }

  async #openApi(service: Service): Promise<string | undefined> {
    const index = await this.#get(service, "/openapi/v3");
    const { paths = {} } = index as { paths?: Record<string, { serverRelativeURL?: string }> };
    return paths[`apis/${groupVersionOf(service)}`]?.serverRelativeURL;
  }

  /** A server without documents is available all the same. */
  async #documents(
    service: Service,
    before: Told | undefined,
  ): Promise<Pick<Told, "openApi" | "openApiV2">> {
    const { group = "", version = "" } = service.spec ?? {};
    const openApi = await this.#openApi(service).catch(() => before?.openApi);
    const known = before?.openApiV2;
    if (known !== undefined && openApi === before?.openApi) return { openApi, openApiV2: known };
    const found = await this.#get(service, "/openapi/v2").catch(() => undefined);
    return { openApi, openApiV2: partOf(found, group, version) ?? known };
  }

  async #report(service: Service, condition: APIServiceCondition): Promise<void> {
    const { name } = service.metadata;
    const same = (each: APIServiceCondition | undefined): boolean =>
      each?.status === condition.status &&
      each.reason === condition.reason &&
      each.message === condition.message;
    if (same(service.status?.conditions?.find(({ type }) => type === "Available"))) return;
    const { core } = { core: this.#core };
    const resource = must(core.registry.byBucket(BUCKET), BUCKET);
    await updateObject(core, internalCall(resource, { name }), {
      name,
      subresource: "status",
      trusted: true,
      next: (live) => {
        const found = live() as Service;
        const conditions = [...(found.status?.conditions ?? [])];
        const at = conditions.findIndex(({ type }) => type === "Available");
        const before = conditions[at];
        const kept = before?.status === condition.status ? before.lastTransitionTime : undefined;
        const lastTransitionTime = kept ?? timestamp(core.clock.now());
        conditions.splice(at < 0 ? conditions.length : at, at < 0 ? 0 : 1, {
          ...condition,
          lastTransitionTime,
        });
        found.status = { ...found.status, conditions };
        return found;
      },
      keep: () => {},
    });
  }
}

type Labels = Readonly<Record<string, string>>;
