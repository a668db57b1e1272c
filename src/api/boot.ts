/** What every cluster has from its first moment, made anew where it is missing. */
import { FRONT_PROXY_NAME } from "#api/aggregation/identity.ts";
import { aggregateRoles } from "#api/auth/aggregation.ts";
import {
  defaultClusterRoleBindings,
  defaultClusterRoles,
  defaultRoles,
} from "#api/auth/defaults.ts";
import { type Core, timestamp } from "#api/core.ts";
import { ensure, settle } from "#api/ensure.ts";
import { AddressRange } from "#api/services/ranges.ts";
import type { ApiObject } from "#resources/meta.ts";

const NAMESPACES = ["default", "kube-system", "kube-public", "kube-node-lease"];

/** The Service by which pods reach this server, and its one endpoint. */
async function kubernetesService(core: Core): Promise<void> {
  const { advertise, serviceCidrs } = core.settings;
  const [cidr] = serviceCidrs;
  if (advertise === undefined || cidr === undefined) return;
  const { first, family } = new AddressRange(cidr, core.random);
  const metadata = {
    name: "kubernetes",
    namespace: "default",
    labels: { component: "apiserver", provider: "kubernetes" },
  };
  await ensure(core, {
    apiVersion: "v1",
    kind: "Service",
    metadata,
    spec: {
      clusterIP: first,
      ports: [{ name: "https", port: 443, protocol: "TCP", targetPort: advertise.port }],
      type: "ClusterIP",
      sessionAffinity: "None",
    },
  } as ApiObject);
  const port = { name: "https", port: advertise.port, protocol: "TCP" };
  // Where other servers are told too, only what is missing is made.
  const tell = advertise.isShared === true ? ensure : settle;
  const mirrored = { "endpointslice.kubernetes.io/skip-mirror": "true" };
  await tell(core, {
    apiVersion: "v1",
    kind: "Endpoints",
    metadata: { ...metadata, labels: mirrored },
    subsets: [{ addresses: [{ ip: advertise.address }], ports: [port] }],
  } as ApiObject);
  await tell(core, {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { ...metadata, labels: { "kubernetes.io/service-name": "kubernetes" } },
    addressType: advertise.address.includes(":") ? "IPv6" : family,
    endpoints: [{ addresses: [advertise.address], conditions: { ready: true } }],
    ports: [port],
  } as ApiObject);
}

const PRIORITIES = [
  {
    name: "system-cluster-critical",
    value: 2_000_000_000,
    description: "For pods without which the cluster does not work; they may move to another node.",
  },
  {
    name: "system-node-critical",
    value: 2_000_001_000,
    description: "For pods without which their node does not work; they stay on it.",
  },
];

/** How extension API servers tell that a request comes from this one. */
async function publishAuthority(core: Core, caPem: string): Promise<void> {
  const { requestHeaderCaPem } = core.settings;
  await settle(core, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "extension-apiserver-authentication", namespace: "kube-system" },
    data: {
      "client-ca-file": caPem,
      ...(requestHeaderCaPem !== undefined && {
        "requestheader-client-ca-file": requestHeaderCaPem,
        "requestheader-allowed-names": JSON.stringify([FRONT_PROXY_NAME]),
        "requestheader-username-headers": '["X-Remote-User"]',
        "requestheader-uid-headers": '["X-Remote-Uid"]',
        "requestheader-group-headers": '["X-Remote-Group"]',
        "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
      }),
    },
  } as ApiObject);
}

/** The range that this server hands out of, as KEP-1880 shows it. */
async function serviceRange(core: Core): Promise<void> {
  const lastTransitionTime = timestamp(core.clock.now());
  const ready = { type: "Ready", status: "True", reason: "", message: "", lastTransitionTime };
  await ensure(core, {
    apiVersion: "networking.k8s.io/v1",
    kind: "ServiceCIDR",
    metadata: { name: "kubernetes" },
    spec: { cidrs: [...core.settings.serviceCidrs] },
    status: { conditions: [ready] },
  } as ApiObject);
}

export async function boot(core: Core): Promise<void> {
  for (const name of NAMESPACES) {
    await ensure(core, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  }
  for (const { name, value, description } of PRIORITIES) {
    await ensure(core, {
      apiVersion: "scheduling.k8s.io/v1",
      kind: "PriorityClass",
      metadata: { name },
      value,
      description,
    } as ApiObject);
  }
  await serviceRange(core);
  await kubernetesService(core);
  const { caPem } = core.settings;
  if (caPem !== undefined) await publishAuthority(core, caPem);
  const objects = [...defaultClusterRoles(), ...defaultClusterRoleBindings(), ...defaultRoles()];
  // At once: they share the store's commits.
  await Promise.all([
    ...objects.map((object) => settleRole(core, object)),
    ...localApiServices(core).map((object) => ensure(core, object)),
  ]);
  await aggregateRoles(core, core.roles);
}

/** Every group and version that is served here has its APIService, as clients expect to find it. */
function localApiServices(core: Core): ApiObject[] {
  const served = new Map<string, ApiObject>();
  for (const { kind } of core.registry.all()) {
    const { group, version } = kind;
    const name = `${version}.${group}`;
    served.set(name, {
      apiVersion: "apiregistration.k8s.io/v1",
      kind: "APIService",
      metadata: {
        name,
        labels: { "kube-aggregator.kubernetes.io/automanaged": "onstart" },
      },
      spec: { group, version, groupPriorityMinimum: 17_000, versionPriority: 15 },
    } as ApiObject);
  }
  return [...served.values()];
}

/** Default roles follow the program, unless somebody switched that off (`autoupdate: false`). */
function settleRole(core: Core, object: ApiObject): Promise<void> {
  if (object.kind?.endsWith("Binding") === true) return ensure(core, object);
  return settle(core, object, (live) => {
    const auto = live.metadata.annotations?.["rbac.authorization.kubernetes.io/autoupdate"];
    return auto === "false" || "aggregationRule" in live ? undefined : object;
  });
}
