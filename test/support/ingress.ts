/** Ingresses with little typing, and a table made of them. */
import { type PlanInput, planTable, type Table } from "#agents/ingress/plan.ts";
import type { Stored } from "#resources/meta.ts";
import { DEFAULT_INGRESS_CLASS, INGRESS_CONTROLLER } from "#resources/ownedingress.ts";
import type {
  EndpointSlice,
  Ingress,
  IngressBackend,
  IngressClass,
  IngressRule,
  IngressSpec,
  Service,
} from "#resources/types.gen.ts";

const stored = <T>(name: string, rest: T, more: object = {}) => ({
  ...rest,
  metadata: {
    namespace: "default",
    name,
    uid: name,
    resourceVersion: "1",
    creationTimestamp: "2026-01-01T00:00:00Z",
    ...more,
  },
});

export const ingressClass = (name = "bramble", isDefault = true): Stored<IngressClass> =>
  stored(
    name,
    { spec: { controller: INGRESS_CONTROLLER } },
    { annotations: { [DEFAULT_INGRESS_CLASS]: String(isDefault) } },
  );

export const ingress = (name: string, spec: IngressSpec, more: object = {}): Stored<Ingress> =>
  stored(name, { spec }, more);

export const to = (service: string, port: number | string = 8080): IngressBackend => ({
  service: { name: service, port: typeof port === "string" ? { name: port } : { number: port } },
});

/** `exact /foo`, `prefix /foo`, `any /foo` (ImplementationSpecific) -> service. */
export function rule(host: string | undefined, paths: Record<string, string>): IngressRule {
  const types = { exact: "Exact", prefix: "Prefix", any: "ImplementationSpecific" } as const;
  return {
    ...(host !== undefined && { host }),
    http: {
      paths: Object.entries(paths).map(([text, service]) => {
        const [type = "", path = ""] = text.split(" ");
        return { pathType: types[type as keyof typeof types], path, backend: to(service) };
      }),
    },
  };
}

/** With port 8080, named http. */
export const service = (name: string, more: Service["spec"] = {}): Stored<Service> =>
  stored(name, { spec: { ports: [{ name: "http", port: 8080, targetPort: 80 }], ...more } });

/** Endpoints: `!` not ready, `~` ending but still serving. */
export const slice = (name: string, endpoints: readonly string[]): Stored<EndpointSlice> =>
  stored(`${name}-x`, {
    addressType: "IPv4",
    ports: [{ name: "http", port: 80 }],
    endpoints: endpoints.map((text) => ({
      addresses: [text.replace(/^[!~]/, "")],
      conditions: { ready: !/^[!~]/.test(text), serving: !text.startsWith("!") },
    })),
  });

export interface Given extends Partial<Omit<PlanInput, "service" | "slices">> {
  /** By name; where left out, every Service is there with one endpoint. */
  services?: Record<string, Stored<Service>>;
  slices?: Record<string, Stored<EndpointSlice>>;
}

export function tableOf(ingresses: ReadonlyArray<Stored<Ingress>>, given: Given = {}): Table {
  const bare = (key: string) => key.slice(key.indexOf("/") + 1);
  return planTable({
    ingresses,
    classes: given.classes ?? [ingressClass()],
    service: (key) => (given.services ? given.services[bare(key)] : service(bare(key))),
    slices: (key) => [
      (given.slices ? given.slices[bare(key)] : undefined) ?? slice(bare(key), ["10.0.0.1"]),
    ],
  });
}

/** Host, path and the Service that serves it, of upstream's conformance cases. */
export const pathCases: ReadonlyArray<[host: string, path: string, service: string | undefined]> = [
  ["exact-path-rules", "/foo", "foo-exact"],
  ["exact-path-rules", "/foo/", undefined],
  ["exact-path-rules", "/FOO", undefined],
  ["exact-path-rules", "/bar", undefined],
  ["prefix-path-rules", "/foo", "foo-prefix"],
  ["prefix-path-rules", "/foo/", "foo-prefix"],
  ["prefix-path-rules", "/FOO", undefined],
  ["prefix-path-rules", "/aaa/bbb", "aaa-slash-bbb-prefix"],
  ["prefix-path-rules", "/aaa/bbb/ccc", "aaa-slash-bbb-prefix"],
  ["prefix-path-rules", "/aaa/ccc", "aaa-prefix"],
  ["prefix-path-rules", "/aaaccc", undefined],
  ["mixed-path-rules", "/foo", "foo-exact"],
  ["trailing-slash-path-rules", "/aaa/bbb", "aaa-slash-bbb-slash-prefix"],
  ["trailing-slash-path-rules", "/aaa/bbb/", "aaa-slash-bbb-slash-prefix"],
  ["trailing-slash-path-rules", "/foo", undefined],
];
