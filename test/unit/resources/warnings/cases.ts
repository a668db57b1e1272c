/** Objects that are allowed, and that Kubernetes warns of. */
import type { ApiObject } from "#resources/meta.ts";

type Fields = Record<string, unknown>;

const object = (
  apiVersion: string,
  kind: string,
  fields: Fields,
  metadata: Fields = {},
): ApiObject => ({ apiVersion, kind, metadata: { name: "n", ...metadata }, ...fields });

const container = (more: Fields = {}): Fields => ({ name: "c", image: "i:1", ...more });
const spec = (more: Fields): Fields => ({ containers: [container()], ...more });
const containers = (...all: Fields[]): Fields =>
  spec({ containers: all.map((each, at) => container({ name: `c${at}`, ...each })) });

const label = (key: string): Fields => ({ key, operator: "Exists" });
const OLD = "beta.kubernetes.io/os";
const preferred = (values: string[]): Fields => ({
  weight: 1,
  preference: { matchExpressions: [{ key: "beta.kubernetes.io/arch", operator: "In", values }] },
});
const near = { topologyKey: "a" };
const near2 = { labelSelector: {}, topologyKey: "a" };
const file = (path: string, key = "k"): Fields => ({ key, path });
const down = (path: string): Fields => ({ path, fieldRef: { fieldPath: "metadata.name" } });
const volumes = (...all: Fields[]): Fields =>
  spec({ volumes: all.map((volume, at) => ({ name: `v${at}`, ...volume })) });
const port = (containerPort: number, more: Fields = {}): Fields => ({
  containerPort,
  protocol: "TCP",
  ...more,
});
const env = (name: string, more: Fields): Fields => ({ name, ...more });
const amounts = (list: Fields): Fields => ({ requests: list, limits: list });
const claim = (storage: string): Fields => ({
  accessModes: ["ReadWriteOnce"],
  resources: { requests: { storage }, limits: { storage } },
});
const profile = (type: string): Fields => ({ type });

const specs: readonly Fields[] = [
  spec({}),
  spec({ nodeSelector: { [OLD]: "linux", fine: "x" } }),
  spec({ nodeSelector: { "node-role.kubernetes.io/master": "" } }),
  spec({
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [label("x"), label(OLD)] }],
        },
        preferredDuringSchedulingIgnoredDuringExecution: [preferred(["a b", "ok"]), preferred([])],
      },
    },
  }),
  spec({
    affinity: {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [near, near2],
        preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm: near }],
      },
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [near2, near],
        preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm: near2 }],
      },
    },
  }),
  spec({
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey: "failure-domain.beta.kubernetes.io/zone", labelSelector: {} },
      { maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule" },
    ],
  }),
  volumes(
    { gitRepo: { repository: "r" } },
    { glusterfs: { endpoints: "e", path: "p" } },
    { cephfs: { monitors: ["m"] } },
    { rbd: { monitors: ["m"], image: "i" } },
    { flocker: { datasetName: "d" } },
    { quobyte: { registry: "r", volume: "v" } },
    { storageos: { volumeName: "v" } },
    { photonPersistentDisk: { pdID: "p" } },
    { scaleIO: { gateway: "g", system: "s", secretRef: { name: "x" } } },
    { ephemeral: { volumeClaimTemplate: { spec: claim("1.5") } } },
  ),
  volumes(
    { configMap: { name: "m", items: [file("a"), file("a/b"), file("a"), file("ab/")] } },
    { secret: { secretName: "s", items: [file("x/"), file("x"), file("y")] } },
    { downwardAPI: { items: [down("d"), down("d/e")] } },
  ),
  volumes(
    {
      projected: {
        sources: [
          { configMap: { name: "m", items: [file("a/b"), file("c")] } },
          { secret: { name: "s", items: [file("a"), file("c")] } },
          { serviceAccountToken: { path: "c" } },
          { downwardAPI: { items: [down("q")] } },
          { configMap: { name: "all" } },
          { clusterTrustBundle: { name: "b", path: "q" } },
        ],
      },
    },
    { projected: { sources: [{}, { serviceAccountToken: { path: "t" } }] } },
  ),
  spec({
    hostAliases: [{ ip: "10.0.0.1" }, { ip: "10.0.0.2" }, { ip: "10.0.0.1" }, { ip: "FD00::1" }],
    imagePullSecrets: [{ name: "a" }, { name: "a" }, {}, { name: "" }],
    dnsConfig: { nameservers: ["::ffff:10.0.0.1", "fd00:0::1", "10.0.0.10"] },
    terminationGracePeriodSeconds: -1,
    overhead: { memory: "100m", "ephemeral-storage": "0.5" },
  }),
  containers(
    { resources: amounts({ memory: "1.5", "ephemeral-storage": "0.1Gi", cpu: "100m" }) },
    { resources: amounts({ memory: "128974848000m", "ephemeral-storage": "1500m" }) },
    { resources: amounts({ memory: "1Mi", "ephemeral-storage": "1n" }) },
  ),
  containers({
    env: [
      env("A", { value: "1" }),
      env("A", { value: "2" }),
      env("B", { value: "1" }),
      env("B", { value: "$(B)2" }),
      env("B", { value: "$(B)" }),
      env("A", { valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }),
    ],
  }),
  containers(
    { ports: [port(80, { name: "web" }), port(80), port(81, { hostIP: "10.0.0.1" })] },
    { ports: [port(80, { hostPort: 80 }), port(82, { name: "web", hostPort: 82 })] },
    { ports: [port(82, { hostPort: 82, hostIP: "10.0.0.1" }), port(80, { protocol: "UDP" })] },
    { ports: [port(82, { hostPort: 83, hostIP: "10.0.0.2", name: "x" })] },
  ),
  {
    ...spec({ ephemeralContainers: [{ ...container({ name: "e" }), ports: [port(90)] }] }),
    initContainers: [{ ...container({ name: "i" }), ports: [port(90), port(91, { name: "p" })] }],
  },
];

const ANNOTATIONS: ReadonlyArray<readonly [Fields, Fields]> = [
  [{ "scheduler.alpha.kubernetes.io/critical-pod": "" }, spec({})],
  [{ "security.alpha.kubernetes.io/sysctls": "a=b" }, spec({})],
  [{ "security.alpha.kubernetes.io/unsafe-sysctls": "a=b" }, spec({})],
  [{ "seccomp.security.alpha.kubernetes.io/pod": "unconfined" }, spec({})],
  [
    { "seccomp.security.alpha.kubernetes.io/pod": "unconfined" },
    spec({ securityContext: { seccompProfile: profile("RuntimeDefault") } }),
  ],
  [{ "container.seccomp.security.alpha.kubernetes.io/c": "unconfined" }, spec({})],
  ...["unconfined", "runtime/default", "localhost/p", "other"].flatMap((value) =>
    [spec({}), spec({ securityContext: { appArmorProfile: profile("RuntimeDefault") } })].map(
      (given) => [{ "container.apparmor.security.beta.kubernetes.io/c": value }, given] as const,
    ),
  ),
];

const template = (given: Fields, annotations: Fields = {}): Fields => ({
  metadata: { labels: { a: "b" }, annotations },
  spec: given,
});
const selector = { matchLabels: { a: "b" } };

const pods: readonly ApiObject[] = [
  ...specs.map((given) => object("v1", "Pod", { spec: given })),
  ...ANNOTATIONS.filter(([annotations]) => !JSON.stringify(annotations).includes("apparmor")).map(
    ([annotations, given]) => object("v1", "Pod", { spec: given }, { annotations }),
  ),
  object("v1", "Pod", { spec: spec({}) }, { name: "a.b" }),
  object("v1", "Pod", { spec: spec({}) }, { name: `${"x".repeat(70)}.y` }),
];

const deployments: readonly ApiObject[] = [
  ...specs.map((given) =>
    object("apps/v1", "Deployment", { spec: { selector, template: template(given) } }),
  ),
  ...ANNOTATIONS.map(([annotations, given]) =>
    object("apps/v1", "Deployment", { spec: { selector, template: template(given, annotations) } }),
  ),
];

const odd = template(spec({ nodeSelector: { [OLD]: "linux" } }));
const dotted = { name: "a.b" };
const workloads: readonly ApiObject[] = [
  ...["Deployment", "ReplicaSet", "DaemonSet"].map((kind) =>
    object("apps/v1", kind, { spec: { selector, template: odd } }, dotted),
  ),
  object("v1", "ReplicationController", { spec: { selector: { a: "b" }, template: odd } }, dotted),
  object("v1", "PodTemplate", { template: odd }, dotted),
  object(
    "apps/v1",
    "StatefulSet",
    {
      spec: {
        ...{ selector, template: odd, serviceName: "s", revisionHistoryLimit: -1 },
        volumeClaimTemplates: [{ metadata: { name: "v" }, spec: claim("0.5") }],
      },
    },
    dotted,
  ),
  object("batch/v1", "Job", { spec: { template: odd } }, dotted),
  object("batch/v1", "Job", {
    spec: {
      ...{ template: template(spec({})), completionMode: "Indexed" },
      ...{ completions: 100_001, parallelism: 10_001 },
    },
  }),
  object(
    "batch/v1",
    "CronJob",
    { spec: { schedule: "TZ=UTC * * * * *", jobTemplate: { spec: { template: odd } } } },
    dotted,
  ),
];

const service = (given: Fields, metadata: Fields = {}): ApiObject =>
  object("v1", "Service", { spec: { ports: [{ port: 80 }], ...given } }, metadata);
const balanced = { type: "LoadBalancer" };
const services: readonly ApiObject[] = [
  service({}, { annotations: { "service.kubernetes.io/topology-aware-hints": "auto" } }),
  service({
    ...{ clusterIP: "None", clusterIPs: ["None"], loadBalancerIP: "10.0.0.1" },
    ...{ externalIPs: ["10.0.0.1"], sessionAffinity: "ClientIP" },
  }),
  service({ clusterIP: "FD00::1", clusterIPs: ["FD00::1", "::ffff:10.0.0.1"] }),
  service({ externalIPs: ["fd00:0:0::1", "10.0.0.1"] }),
  service({
    ...balanced,
    loadBalancerIP: "::ffff:1.2.3.4",
    loadBalancerSourceRanges: ["10.0.0.1/8", "fd00::1/64", "FD00::/64", "::ffff:10.0.0.0/104"],
  }),
  service({ ...balanced, loadBalancerSourceRanges: ["::ffff:10.1.2.3/104", "0.0.0.0/0", "::/0"] }),
  service({ type: "ExternalName", externalName: "a.b", externalIPs: ["10.0.0.1"] }),
  service({ externalName: "a.b" }),
];

const pv = (given: Fields, annotations: Fields = {}): ApiObject =>
  object("v1", "PersistentVolume", { spec: given }, { annotations });
const BETA = "volume.beta.kubernetes.io/";
const storage: readonly ApiObject[] = [
  pv({ persistentVolumeReclaimPolicy: "Recycle" }, { [`${BETA}storage-class`]: "s" }),
  pv({ cephfs: { monitors: ["m"] } }, { [`${BETA}mount-options`]: "ro" }),
  pv({ glusterfs: { endpoints: "e", path: "p" } }),
  pv({ storageos: { volumeName: "v" } }),
  pv({ rbd: { monitors: ["m"], image: "i" } }),
  pv({ photonPersistentDisk: { pdID: "p" } }),
  pv({ scaleIO: { gateway: "g", system: "s", secretRef: { name: "x" } } }),
  pv({
    nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [label(OLD)] }] } },
  }),
  object(
    "v1",
    "PersistentVolumeClaim",
    { spec: claim("1.5Ki") },
    { annotations: { [`${BETA}storage-class`]: "s" } },
  ),
  object("v1", "PersistentVolumeClaim", { spec: claim("0.1") }),
  object("storage.k8s.io/v1", "StorageClass", {
    provisioner: "p",
    allowedTopologies: [{ matchLabelExpressions: [{ key: OLD, values: ["x"] }] }],
  }),
  object("storage.k8s.io/v1", "CSIStorageCapacity", {
    storageClassName: "s",
    nodeTopology: { matchLabels: { [OLD]: "x" }, matchExpressions: [label(OLD)] },
  }),
];

const block = (cidr: string, ...except: string[]): Fields => ({ ipBlock: { cidr, except } });
const others: readonly ApiObject[] = [
  object("node.k8s.io/v1", "RuntimeClass", {
    handler: "h",
    scheduling: { nodeSelector: { [OLD]: "linux" } },
  }),
  object("networking.k8s.io/v1", "NetworkPolicy", {
    spec: {
      podSelector: {},
      ingress: [{ from: [block("10.0.0.1/8", "10.1.0.1/16"), { podSelector: {} }] }],
      egress: [{ to: [block("FD00::/64")] }],
    },
  }),
  ...[{}, { ingressClassName: "c" }].map((given) =>
    object(
      "networking.k8s.io/v1",
      "Ingress",
      { spec: given },
      { annotations: { "kubernetes.io/ingress.class": "nginx" } },
    ),
  ),
  object("discovery.k8s.io/v1", "EndpointSlice", {
    addressType: "FQDN",
    endpoints: [{ addresses: ["a.b"] }],
  }),
  ...["endpointslice-controller.k8s.io", "me"].map((by) =>
    object(
      "discovery.k8s.io/v1",
      "EndpointSlice",
      { addressType: "IPv6", endpoints: [{ addresses: ["FD00::1"] }] },
      { labels: { "endpointslice.kubernetes.io/managed-by": by } },
    ),
  ),
  object(
    "v1",
    "ServiceAccount",
    {},
    {
      annotations: { "kubernetes.io/enforce-mountable-secrets": "true" },
    },
  ),
  object("v1", "Secret", { type: "kubernetes.io/tls", data: { "tls.crt": "eA==", "tls.key": "" } }),
  object("v1", "Secret", { type: "Opaque", data: { "tls.crt": "eA==" } }),
];

export const cases: readonly ApiObject[] = [
  ...pods,
  ...deployments,
  ...workloads,
  ...services,
  ...storage,
  ...others,
];
