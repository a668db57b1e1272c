/**
 * Ingresses, Services, EndpointSlices -> one routing table. The certificates are only named here.
 * https://kubernetes.io/docs/concepts/services-networking/ingress/
 *
 * A place for more: certificates by ACME would be one more source of `certificates`, the Gateway
 * API one more maker of a Table; the serving knows neither Ingress nor Service.
 */
import { addressKind } from "#resources/addresses.ts";
import type { Stored } from "#resources/meta.ts";
import { isOwnedIngress } from "#resources/ownedingress.ts";
import { quantityValue } from "#resources/quantity.ts";
import type {
  EndpointSlice,
  Ingress,
  IngressBackend,
  IngressClass,
  Service,
} from "#resources/types.gen.ts";

export interface Endpoint {
  address: string;
  port: number;
}

export interface Backend {
  /** `namespace/service:port`, for logs. */
  name: string;
  endpoints: readonly Endpoint[];
  /** In slices as well, but not to be asked: not ready, or on their way out. */
  others: readonly Endpoint[];
  /** Session affinity by the client's address. */
  sticky: boolean;
}

export interface Route {
  /** `namespace/name` of the Ingress. */
  ingress: string;
  /** Undefined: there is no such Service or port. */
  backend: Backend | undefined;
  /** Plain HTTP is sent on to HTTPS. */
  redirect: boolean;
  /** Largest request body; undefined: any, as bodies are never kept. */
  bodyBytesMax: number | undefined;
}

export interface Paths {
  exact: Map<string, Route>;
  /** Without the slash at the end, longest first; "" is every path. */
  prefixes: Array<{ path: string; route: Route }>;
  /** Of the Ingress that declares the host. */
  fallback: Route | undefined;
}

export interface Table {
  hosts: Map<string, Paths>;
  /** `*.example.com` by `example.com`. */
  wildcards: Map<string, Paths>;
  /** Rules without a host. */
  any: Paths | undefined;
  fallback: Route | undefined;
  /** Server name (also `*.example.com`; "" is the default) -> `namespace/name` of its Secret. */
  certificates: Map<string, string>;
  /** All that routes lead to. */
  backends: readonly Backend[];
  /** Ingresses that are served. */
  count: number;
  /** What is not served as it was meant, a line each. */
  problems: readonly string[];
}

export interface PlanInput {
  ingresses: ReadonlyArray<Stored<Ingress>>;
  classes: ReadonlyArray<Stored<IngressClass>>;
  service(key: string): Stored<Service> | undefined;
  slices(key: string): ReadonlyArray<Stored<EndpointSlice>>;
}

/** "false" leaves plain HTTP as it is though there is TLS. */
const REDIRECT = "ingress.bramble.dev/ssl-redirect";
/** A quantity of bytes (`10Mi`). */
const BODY_MAX = "ingress.bramble.dev/body-size-max";

/** The older one wins where two claim the same, so that nobody takes over what is in use. */
function byAge(a: Stored<Ingress>, b: Stored<Ingress>): number {
  const [x, y] = [a.metadata, b.metadata];
  if (x.creationTimestamp !== y.creationTimestamp) {
    return x.creationTimestamp < y.creationTimestamp ? -1 : 1;
  }
  return `${x.namespace}/${x.name}` < `${y.namespace}/${y.name}` ? -1 : 1;
}

/** Ready ones; where there are none, those that still serve while they end (KEP-1669). */
export function endpointsOf(
  service: Stored<Service>,
  slices: ReadonlyArray<Stored<EndpointSlice>>,
  portName: string,
): Pick<Backend, "endpoints" | "others"> {
  const family = service.spec?.ipFamilies?.[0] ?? "IPv4";
  const ready = new Map<string, Endpoint>();
  const ending = new Map<string, Endpoint>();
  const all = new Map<string, Endpoint>();
  for (const slice of slices) {
    if (slice.addressType !== family) continue;
    const port = slice.ports?.find((one) => (one.name ?? "") === portName)?.port;
    if (port === undefined) continue;
    for (const { addresses, conditions } of slice.endpoints ?? []) {
      const address = addresses[0];
      // The Ingress is on the node's network: loopback would be the node's own.
      if (address === undefined || addressKind(address) !== "global") continue;
      const key = `${address} ${port}`;
      all.set(key, { address, port });
      if (conditions?.ready !== false) ready.set(key, { address, port });
      else if (conditions.serving === true) ending.set(key, { address, port });
    }
  }
  const asked = ready.size > 0 ? ready : ending;
  const others = [...all].filter(([key]) => !asked.has(key)).map(([, endpoint]) => endpoint);
  return { endpoints: [...asked.values()], others };
}

type Found = { port: string; service: Stored<Service> } | { problem: string };

class Planner {
  readonly #input: PlanInput;
  readonly #backends = new Map<string, Backend | undefined>();
  readonly problems = new Set<string>();
  readonly table: Omit<Table, "backends" | "problems"> = {
    hosts: new Map(),
    wildcards: new Map(),
    any: undefined,
    fallback: undefined,
    certificates: new Map(),
    count: 0,
  };

  constructor(input: PlanInput) {
    this.#input = input;
  }

  get backends(): Backend[] {
    return [...this.#backends.values()].filter((one) => one !== undefined);
  }

  #backend(namespace: string, backend: IngressBackend | undefined): Backend | undefined {
    const { name = backend?.resource?.kind, port } = backend?.service ?? {};
    const key = `${namespace}/${name}:${port?.name ?? port?.number}`;
    if (!this.#backends.has(key)) this.#backends.set(key, this.#make(namespace, key, backend));
    return this.#backends.get(key);
  }

  #make(namespace: string, key: string, backend: IngressBackend | undefined): Backend | undefined {
    const found = this.#find(namespace, backend?.service);
    if ("problem" in found) {
      this.problems.add(`${key}: ${found.problem}`);
      return undefined;
    }
    const { service, port } = found;
    const slices = this.#input.slices(`${namespace}/${service.metadata.name}`);
    const sticky = service.spec?.sessionAffinity === "ClientIP";
    return { name: key, ...endpointsOf(service, slices, port), sticky };
  }

  #find(namespace: string, wanted: IngressBackend["service"]): Found {
    if (wanted === undefined) return { problem: "only Services are served" };
    const service = this.#input.service(`${namespace}/${wanted.name}`);
    if (service === undefined) return { problem: "there is no such Service" };
    // A name outside of the cluster could lead anywhere on the node's own networks.
    if (service.spec?.type === "ExternalName") return { problem: "ExternalName is not served" };
    const { name, number } = wanted.port ?? {};
    const port = (service.spec?.ports ?? []).find((one) =>
      name !== undefined ? one.name === name : one.port === number,
    );
    if (port === undefined) return { problem: "the Service has no such port" };
    return { service, port: port.name ?? "" };
  }

  add(ingress: Stored<Ingress>): void {
    const { spec, metadata } = ingress;
    const namespace = metadata.namespace ?? "";
    const name = `${namespace}/${metadata.name}`;
    const noRedirect = metadata.annotations?.[REDIRECT] === "false";
    const bodyBytesMax = this.#bodyBytesMax(ingress);
    const route = (backend: IngressBackend | undefined, host: string): Route => ({
      ingress: name,
      backend: this.#backend(namespace, backend),
      redirect: !noRedirect && hasTls(ingress, host),
      bodyBytesMax,
    });
    this.table.count++;
    for (const rule of spec?.rules ?? []) {
      const host = (rule.host ?? "").toLowerCase();
      const paths = this.#paths(host);
      for (const { path, pathType, backend } of rule.http?.paths ?? []) {
        put(paths, { path: path ?? "/", pathType }, route(backend, host));
      }
      // A rule without paths sends all of its host to the default backend.
      if (spec?.defaultBackend !== undefined) paths.fallback ??= route(spec.defaultBackend, host);
    }
    this.#certificates(ingress, namespace);
  }

  /** For what nobody else takes; an Ingress that is nothing but a default backend goes first. */
  addFallback(ingress: Stored<Ingress>): void {
    const { spec, metadata } = ingress;
    if (spec?.defaultBackend === undefined) return;
    this.table.fallback ??= {
      ingress: `${metadata.namespace}/${metadata.name}`,
      backend: this.#backend(metadata.namespace ?? "", spec.defaultBackend),
      redirect: false,
      bodyBytesMax: this.#bodyBytesMax(ingress),
    };
  }

  #bodyBytesMax({ metadata }: Stored<Ingress>): number | undefined {
    const text = metadata.annotations?.[BODY_MAX];
    if (text === undefined) return undefined;
    if (isQuantity(text)) return quantityValue(text);
    this.problems.add(`${metadata.namespace}/${metadata.name}: ${BODY_MAX}: not a quantity`);
    return undefined;
  }

  #paths(host: string): Paths {
    const { table } = this;
    const fresh = (): Paths => ({ exact: new Map(), prefixes: [], fallback: undefined });
    if (host === "") {
      table.any ??= fresh();
      return table.any;
    }
    const isWildcard = host.startsWith("*.");
    const from = isWildcard ? table.wildcards : table.hosts;
    const key = isWildcard ? host.slice(2) : host;
    const known = from.get(key) ?? fresh();
    from.set(key, known);
    return known;
  }

  #certificates({ spec }: Stored<Ingress>, namespace: string): void {
    const ruled = (spec?.rules ?? []).map(({ host }) => (host ?? "").toLowerCase());
    for (const { hosts, secretName } of spec?.tls ?? []) {
      if (!secretName) continue;
      const names = hosts?.length ? hosts : ruled.length > 0 ? ruled : [""];
      for (const each of names) {
        const host = each.toLowerCase();
        if (!this.table.certificates.has(host)) {
          this.table.certificates.set(host, `${namespace}/${secretName}`);
        }
      }
    }
  }
}

function isQuantity(text: string): boolean {
  try {
    return quantityValue(text) >= 0;
  } catch {
    return false;
  }
}

/** `*.example.com` covers one label more, as certificates have it. */
export function covers(pattern: string, host: string): boolean {
  if (pattern === host) return true;
  return pattern.startsWith("*.") && host.slice(host.indexOf(".")) === pattern.slice(1);
}

function hasTls({ spec }: Stored<Ingress>, host: string): boolean {
  return (spec?.tls ?? []).some(
    ({ hosts }) => !hosts?.length || hosts.some((each) => covers(each.toLowerCase(), host)),
  );
}

function put(
  paths: Paths,
  { path, pathType }: { path: string; pathType: string | undefined },
  route: Route,
): void {
  if (pathType === "Exact") {
    if (!paths.exact.has(path)) paths.exact.set(path, route);
    return;
  }
  // Ours to say for ImplementationSpecific: the same as Prefix.
  const bare = path.endsWith("/") ? path.slice(0, -1) : path;
  if (paths.prefixes.some((known) => known.path === bare)) return;
  paths.prefixes.push({ path: bare, route });
}

export function planTable(input: PlanInput): Table {
  const planner = new Planner(input);
  const ours = input.ingresses.filter((one) => isOwnedIngress(one, input.classes)).sort(byAge);
  for (const ingress of ours) planner.add(ingress);
  for (const ingress of ours) if (!ingress.spec?.rules?.length) planner.addFallback(ingress);
  for (const ingress of ours) planner.addFallback(ingress);
  const { table, backends, problems } = planner;
  for (const paths of [...table.hosts.values(), ...table.wildcards.values(), table.any]) {
    paths?.prefixes.sort((a, b) => b.path.length - a.path.length);
  }
  return { ...table, backends, problems: [...problems].sort() };
}
