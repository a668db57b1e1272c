/**
 * Every field of a pod's specification and what proves it: the title of a test, or why it does
 * nothing on such a node. `docs/pod-fields.md` is made from it, and a test fails for a field that
 * is missing here.
 */

/** Types of the schema whose fields are listed, with their place in a pod. */
export const listedTypes = {
  PodSpec: "spec",
  PodSecurityContext: "spec.securityContext",
  Container: "spec.containers[]",
  SecurityContext: "spec.containers[].securityContext",
  Probe: "spec.containers[].livenessProbe",
  Lifecycle: "spec.containers[].lifecycle",
  LifecycleHandler: "spec.containers[].lifecycle.preStop",
  EnvVarSource: "spec.containers[].env[].valueFrom",
  EnvFromSource: "spec.containers[].envFrom[]",
  ContainerPort: "spec.containers[].ports[]",
  VolumeMount: "spec.containers[].volumeMounts[]",
  Volume: "spec.volumes[]",
  VolumeProjection: "spec.volumes[].projected.sources[]",
  EmptyDirVolumeSource: "spec.volumes[].emptyDir",
  HostPathVolumeSource: "spec.volumes[].hostPath",
} as const;

export type Proof =
  | { test: string }
  /** Refused or left out, and by what. */
  | { not: string };

const by = (test: string): Proof => ({ test });
const not = (why: string): Proof => ({ not: why });

const CLOUD = "FailedMount: this type of volume is not supported on this node";
const WINDOWS = "the API refuses it for Linux pods";
const OFF = "off in Kubernetes 1.34; the API drops it, as upstream";
const API = "a service account with its token, a priority, tolerations";
const PLACES = "chosen by the scheduler";
const secure = by("users, groups and capabilities");
const kinds = by("of all kinds decide over readiness");
const environment = by("environment from everywhere, and arguments that name it");
const files = by("configMap and secret, updated as a whole within ten seconds");

const pod: Record<string, Proof> = {
  activeDeadlineSeconds: by("past its deadline has failed"),
  affinity: by("the node must be one that the pod wants, and bear its taints"),
  automountServiceAccountToken: by("the service account's token, certificate and namespace"),
  containers: by("starts, answers and goes without a trace"),
  dnsConfig: by("names, aliases and the resolver"),
  dnsPolicy: by("a pod on the node's network sees the node's hosts and resolver"),
  enableServiceLinks: by("turned off leave the API's address"),
  ephemeralContainers: by("takes an ephemeral container for a look at its processes"),
  hostAliases: by("names, aliases and the resolver"),
  hostIPC: by("the node's namespaces where the pod asks for them"),
  hostNetwork: by("the node's namespaces where the pod asks for them"),
  hostPID: by("the node's namespaces where the pod asks for them"),
  hostUsers: by("user namespaces that the runtime lacks are named"),
  hostname: by("names, aliases and the resolver"),
  hostnameOverride: not(OFF),
  imagePullSecrets: by("the entry of the registry is taken, its password may hold a colon"),
  initContainers: by("runs init containers in order, then sidecars beside the main one"),
  nodeName: by("is refused with the reason"),
  nodeSelector: by("the node must be one that the pod wants, and bear its taints"),
  os: by("a pod of another system is refused"),
  overhead: by("may be the pod's own"),
  preemptionPolicy: not(PLACES),
  priority: by("is never one that the node needs"),
  priorityClassName: by(API),
  readinessGates: by("wait for readiness gates, which others set"),
  resourceClaims: not("FailedCreatePodSandBox: dynamic resource allocation is not supported"),
  resources: by("may be the pod's own"),
  restartPolicy: by("follows the policy"),
  runtimeClassName: by("a class names another runtime, or one that the node lacks"),
  schedulerName: not(PLACES),
  schedulingGates: not(PLACES),
  securityContext: secure,
  serviceAccount: by(API),
  serviceAccountName: by("the service account's token, certificate and namespace"),
  setHostnameAsFQDN: by("namespaces"),
  shareProcessNamespace: by("may share its processes, and one that dies takes no other along"),
  subdomain: by("names, aliases and the resolver"),
  terminationGracePeriodSeconds: by("that ignores the signal is killed after its grace"),
  tolerations: by("the node must be one that the pod wants, and bear its taints"),
  topologySpreadConstraints: not(PLACES),
  volumes: files,
};

const podSecurity: Record<string, Proof> = {
  appArmorProfile: by("security settings"),
  fsGroup: by("emptyDir on disk and in memory, for the pod's group"),
  fsGroupChangePolicy: by("fsGroup owns everything, and may leave a volume that is right alone"),
  runAsGroup: secure,
  runAsNonRoot: by("root is refused to those who do not want it"),
  runAsUser: secure,
  seLinuxChangePolicy: not("ignored on a system without SELinux, as upstream"),
  seLinuxOptions: by("SELinux options are ignored on a system without it, as upstream"),
  seccompProfile: by("seccomp, proc and privilege are as asked"),
  supplementalGroups: secure,
  supplementalGroupsPolicy: by("security settings"),
  sysctls: by("sysctls that are safe are set, others refused"),
  windowsOptions: not(WINDOWS),
};

const container: Record<string, Proof> = {
  args: environment,
  command: environment,
  env: environment,
  envFrom: environment,
  image: by("an image that does not exist backs off, and is pulled once it does"),
  imagePullPolicy: by("policy Always fetches for each run"),
  lifecycle: by("gets its signal, its hook and its grace"),
  livenessProbe: by("restart a container that is no longer alive"),
  name: by("labels tell a restarted agent whose container it is"),
  ports: by("a host port leads to its pod, from the LAN, the node and the pod itself"),
  readinessProbe: kinds,
  resizePolicy: by("limits of a running container change without a restart"),
  resources: by("limits are the kernel's"),
  restartPolicy: by("runs init containers in order, then sidecars beside the main one"),
  restartPolicyRules: not(OFF),
  securityContext: secure,
  startupProbe: by("hooks by HTTP and by sleeping"),
  stdin: by("input and output of a container with stdin, again and again"),
  stdinOnce: by("stdinOnce closes the input after the first client"),
  terminationMessagePath: by("a message is taken from the path that the container names"),
  terminationMessagePolicy: by("takes the end of the log for a message where it was asked to"),
  tty: by("input and output of a container with stdin, again and again"),
  volumeDevices: by("block volumes become devices at their paths"),
  volumeMounts: files,
  workingDir: environment,
};

const security: Record<string, Proof> = {
  allowPrivilegeEscalation: secure,
  appArmorProfile: by("security settings"),
  capabilities: secure,
  privileged: by("seccomp, proc and privilege are as asked"),
  procMount: by("security settings"),
  readOnlyRootFilesystem: secure,
  runAsGroup: by("of the container goes before that of the pod"),
  runAsNonRoot: by("root is refused where the pod says so"),
  runAsUser: by("of the container goes before that of the pod"),
  seLinuxOptions: by("SELinux options are ignored on a system without it, as upstream"),
  seccompProfile: by("seccomp, proc and privilege are as asked"),
  windowsOptions: not(WINDOWS),
};

const probe: Record<string, Proof> = {
  exec: kinds,
  failureThreshold: by("gives up after its failures, once"),
  grpc: by("asks a gRPC server for its health"),
  httpGet: kinds,
  initialDelaySeconds: by("is asked after its delay, then each period"),
  periodSeconds: by("is asked after its delay, then each period"),
  successThreshold: by("needs its thresholds both ways"),
  tcpSocket: kinds,
  terminationGracePeriodSeconds: by("gives up after its failures, once"),
  timeoutSeconds: by("an answer that takes too long is none"),
};

const lifecycle: Record<string, Proof> = {
  postStart: by("whose postStart hook fails is restarted"),
  preStop: by("gets its signal, its hook and its grace"),
  stopSignal: not(OFF),
};

const handler: Record<string, Proof> = {
  exec: by("gets its signal, its hook and its grace"),
  httpGet: by("hooks by HTTP and by sleeping"),
  sleep: by("hooks by HTTP and by sleeping"),
  tcpSocket: not("does nothing, as upstream: kept for old clients only"),
};

const valueFrom: Record<string, Proof> = {
  configMapKeyRef: environment,
  fieldRef: environment,
  fileKeyRef: not(OFF),
  resourceFieldRef: environment,
  secretKeyRef: environment,
};

const port = by("a host port leads to its pod, from the LAN, the node and the pod itself");

const mount: Record<string, Proof> = {
  mountPath: files,
  mountPropagation: by("what a privileged pod mounts is seen outside with Bidirectional"),
  name: files,
  readOnly: by("hostPath, read-only where the mount says so, and an expression"),
  recursiveReadOnly: by("read-only to the last mount below, where the pod asks for it"),
  subPath: files,
  subPathExpr: by("hostPath, read-only where the mount says so, and an expression"),
};

const claim = by("a claim brings the local volume behind it, for the pod's group");
const cloudVolumes = [
  "awsElasticBlockStore",
  "azureDisk",
  "azureFile",
  "cephfs",
  "cinder",
  "fc",
  "flexVolume",
  "flocker",
  "gcePersistentDisk",
  "gitRepo",
  "glusterfs",
  "iscsi",
  "photonPersistentDisk",
  "portworxVolume",
  "quobyte",
  "rbd",
  "scaleIO",
  "storageos",
  "vsphereVolume",
];

const volume: Record<string, Proof> = {
  ...Object.fromEntries(cloudVolumes.map((name) => [name, not(CLOUD)])),
  configMap: files,
  csi: by("volumes that no node without a cloud can have are named"),
  downwardAPI: by("downward API, with labels that change"),
  emptyDir: by("emptyDir on disk and in memory, for the pod's group"),
  ephemeral: by("an ephemeral volume is a claim of the pod's own"),
  hostPath: by("hostPath, read-only where the mount says so, and an expression"),
  image: by("the files of an image are a volume, read-only, let go with the pod"),
  name: files,
  nfs: by("a pod reads and writes an NFS server's files, and leaves no mount"),
  persistentVolumeClaim: claim,
  projected: by("the service account's token, certificate and namespace"),
  secret: files,
};

const projection: Record<string, Proof> = {
  clusterTrustBundle: not(OFF),
  configMap: by("joins all sources and tells when the token must be renewed"),
  downwardAPI: by("joins all sources and tells when the token must be renewed"),
  podCertificate: not(OFF),
  secret: by("joins all sources and tells when the token must be renewed"),
  serviceAccountToken: by("keeps a token to the one user of the pod, or to its group"),
};

export const podFields: Record<keyof typeof listedTypes, Record<string, Proof>> = {
  PodSpec: pod,
  PodSecurityContext: podSecurity,
  Container: container,
  SecurityContext: security,
  Probe: probe,
  Lifecycle: lifecycle,
  LifecycleHandler: handler,
  EnvVarSource: valueFrom,
  EnvFromSource: { configMapRef: environment, prefix: environment, secretRef: environment },
  ContainerPort: { containerPort: port, hostIP: port, hostPort: port, name: port, protocol: port },
  VolumeMount: mount,
  Volume: volume,
  VolumeProjection: projection,
  EmptyDirVolumeSource: {
    medium: by("huge pages where the node has them, refused where it has not"),
    sizeLimit: by("evicts a pod whose volume outgrew its limit"),
  },
  HostPathVolumeSource: { path: by("hostPath types"), type: by("hostPath types") },
};

/** The page for readers. */
export function podFieldsPage(): string {
  const rows = Object.entries(listedTypes).flatMap(([type, place]) =>
    Object.entries(podFields[type as keyof typeof listedTypes])
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([field, proof]) => {
        const text = "test" in proof ? `proved by "${proof.test}"` : `no: ${proof.not}`;
        return `| \`${place}.${field}\` | ${text} |`;
      }),
  );
  return [
    "# Fields of a pod",
    "",
    "Made by `bun tools/pod-fields.ts` from `test/support/podfields.ts`; a test compares them.",
    "",
    "| field | on a node of bramble |",
    "|---|---|",
    ...rows,
    "",
  ].join("\n");
}
