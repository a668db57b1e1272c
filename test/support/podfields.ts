/**
 * Every field of a pod's specification and what proves it: the title of a test, or why it does
 * nothing on such a node. `docs/pod-fields.md` is made from it, and a test fails for a field that
 * is missing here.
 */

import { sources } from "#test/support/sources.ts";

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
const fit = by("what the node is not, or has given away, refuses a pod");
const secure = by("users, groups and capabilities");
const kinds = by("of all kinds decide over readiness");
const environment = by("environment from everywhere, and arguments that name it");
const files = by("configMap and secret, updated as a whole within ten seconds");

const pod: Record<string, Proof> = {
  activeDeadlineSeconds: by("past its deadline has failed"),
  affinity: fit,
  automountServiceAccountToken: by("the service account's token, certificate and namespace"),
  containers: by("starts, answers and goes without a trace"),
  dnsConfig: by("names, aliases and the resolver"),
  dnsPolicy: by("the resolver of the node, or the pod's own alone"),
  enableServiceLinks: by("variables name the Services, unless they are turned off"),
  ephemeralContainers: by("takes an ephemeral container for a look at its processes"),
  hostAliases: by("names, aliases and the resolver"),
  hostIPC: by("the node's namespaces where the pod asks for them"),
  hostNetwork: by("the node's namespaces where the pod asks for them"),
  hostPID: by("the node's namespaces where the pod asks for them"),
  hostUsers: by("user namespaces that the runtime lacks are named"),
  hostname: by("names, aliases and the resolver"),
  hostnameOverride: not(OFF),
  imagePullSecrets: by("a Secret opens the registry, and events tell of the pull"),
  initContainers: by("runs init containers in order, then sidecars beside the main one"),
  nodeName: by("what is kept back is not to be had, what does not fit is refused"),
  nodeSelector: fit,
  os: fit,
  overhead: by("a class's overhead is added to the limits of the whole pod"),
  preemptionPolicy: by("it must not preempt"),
  priority: by("a disk that is really full: whoever filled it goes, and the rest goes on"),
  priorityClassName: by(API),
  readinessGates: by("conditions tell how far a pod is, and which generation they saw"),
  resourceClaims: not("FailedCreatePodSandBox: dynamic resource allocation is not supported"),
  resources: by("a pod has its limits as a whole, and so many processes"),
  restartPolicy: by("policy OnFailure restarts what failed, and ends with success"),
  runtimeClassName: by("a class names another runtime, or one that the node lacks"),
  schedulerName: by("a pod of another scheduler is left alone; a gated one waits for its gate"),
  schedulingGates: by("a pod of another scheduler is left alone; a gated one waits for its gate"),
  securityContext: secure,
  serviceAccount: by(API),
  serviceAccountName: by("the service account's token, certificate and namespace"),
  setHostnameAsFQDN: by("the whole name is the hostname where the pod asks for it"),
  shareProcessNamespace: by("may share its processes, and one that dies takes no other along"),
  subdomain: by("names, aliases and the resolver"),
  terminationGracePeriodSeconds: by("that ignores the signal is killed after its grace"),
  tolerations: by("the node must be one that the pod wants, and bear its taints"),
  topologySpreadConstraints: by("spread constraints bound the skew"),
  volumes: files,
};

const podSecurity: Record<string, Proof> = {
  appArmorProfile: by("AppArmor is in force where there is any, else the pod is refused"),
  fsGroup: by("emptyDir on disk and in memory, for the pod's group"),
  fsGroupChangePolicy: by("a volume that is right is left alone, any other is the group's"),
  runAsGroup: secure,
  runAsNonRoot: by("root is refused to those who do not want it"),
  runAsUser: secure,
  seLinuxChangePolicy: not("ignored on a system without SELinux, as upstream"),
  seLinuxOptions: by("SELinux options are ignored on a system without it, as upstream"),
  seccompProfile: by("seccomp, proc and privilege are as asked"),
  supplementalGroups: secure,
  supplementalGroupsPolicy: by("supplementary groups are merged with the image's, or strict"),
  sysctls: by("sysctls that are safe are set, others refused"),
  windowsOptions: not(WINDOWS),
};

const container: Record<string, Proof> = {
  args: environment,
  command: environment,
  env: environment,
  envFrom: environment,
  image: by("what cannot be is told by its reason"),
  imagePullPolicy: by("policy Always asks the registry for every run"),
  lifecycle: by("gets its signal, its hook and its grace"),
  livenessProbe: by("restart a container that is no longer alive"),
  name: by("a new agent takes over running containers and their logs without a gap"),
  ports: by("a host port leads to its pod, from the LAN, the node and the pod itself"),
  readinessProbe: kinds,
  resizePolicy: by("limits of a running container change without a restart"),
  resources: by("limits are the kernel's"),
  restartPolicy: by("runs init containers in order, then sidecars beside the main one"),
  restartPolicyRules: not(OFF),
  securityContext: secure,
  startupProbe: by("a startup probe holds the others back, and gives up at last"),
  stdin: by("input and output of a container with stdin, again and again"),
  stdinOnce: by("stdinOnce closes the input after the first client"),
  terminationMessagePath: by("a message is taken from the path that the container names"),
  terminationMessagePolicy: by("takes the end of the log for a message where it was asked to"),
  tty: by("input and output of a container with stdin, again and again"),
  volumeDevices: by("block volumes become devices at their paths, without privileges"),
  volumeMounts: files,
  workingDir: environment,
};

const own = by("users of containers go before that of the pod");

const security: Record<string, Proof> = {
  allowPrivilegeEscalation: secure,
  appArmorProfile: by("AppArmor is in force where there is any, else the pod is refused"),
  capabilities: secure,
  privileged: by("seccomp, proc and privilege are as asked"),
  procMount: by("parts of /proc are masked; who wants them all is refused"),
  readOnlyRootFilesystem: secure,
  runAsGroup: own,
  runAsNonRoot: own,
  runAsUser: own,
  seLinuxOptions: by("SELinux options are ignored on a system without it, as upstream"),
  seccompProfile: by("seccomp, proc and privilege are as asked"),
  windowsOptions: not(WINDOWS),
};

const asked = by("headers, hosts, names of ports, TLS and gRPC are as the probe says");
const counts = by("thresholds, delays and periods count");
const late = by("an answer that takes too long is a failure, and ends the container");

const probe: Record<string, Proof> = {
  exec: kinds,
  failureThreshold: counts,
  grpc: asked,
  httpGet: asked,
  initialDelaySeconds: counts,
  periodSeconds: counts,
  successThreshold: counts,
  tcpSocket: asked,
  terminationGracePeriodSeconds: late,
  timeoutSeconds: late,
};

const lifecycle: Record<string, Proof> = {
  postStart: by("whose postStart hook fails is restarted"),
  preStop: by("gets its signal, its hook and its grace"),
  stopSignal: not(OFF),
};

const handler: Record<string, Proof> = {
  exec: by("gets its signal, its hook and its grace"),
  httpGet: by("hooks: preStop by HTTP, postStart by sleeping"),
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

const hostPaths = by("hostPath of every type, and refused where it is another");
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
  ephemeral: by("an ephemeral volume is the claim that bears the pod's name"),
  hostPath: hostPaths,
  image: by("the files of an image are a volume, read-only, let go with the pod"),
  name: files,
  nfs: by("a pod reads and writes an NFS server's files, and leaves no mount"),
  persistentVolumeClaim: claim,
  projected: by("all sources in one folder, and a token that is renewed in time"),
  secret: files,
};

const together = by("all sources in one folder, and a token that is renewed in time");

const projection: Record<string, Proof> = {
  clusterTrustBundle: not(OFF),
  configMap: together,
  downwardAPI: together,
  podCertificate: not(OFF),
  secret: together,
  serviceAccountToken: together,
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
    sizeLimit: by("limits of local storage: a volume, a container's files, its log"),
  },
  HostPathVolumeSource: { path: hostPaths, type: hostPaths },
};

/** The test's file, one on real containers before all others. */
function filesOf(titles: ReadonlySet<string>): Map<string, string> {
  const tests = sources(["test"]).filter(({ path }) => path.endsWith(".test.ts"));
  const host = (path: string) => (path.includes("test/host/") ? 0 : 1);
  const found = new Map<string, string>();
  for (const { path, lines } of tests.sort((a, b) => host(a.path) - host(b.path))) {
    const text = lines.join("\n");
    for (const title of titles) {
      if (!found.has(title) && text.includes(`"${title}"`)) found.set(title, path);
    }
  }
  return found;
}

/** The page for readers. */
export function podFieldsPage(): string {
  const all = Object.values(podFields).flatMap((fields) => Object.values(fields));
  const titles = new Set(all.flatMap((proof) => ("test" in proof ? [proof.test] : [])));
  const files = filesOf(titles);
  const rows = Object.entries(listedTypes).flatMap(([type, place]) =>
    Object.entries(podFields[type as keyof typeof listedTypes])
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([field, proof]) => {
        const text =
          "test" in proof
            ? `proved by "${proof.test}" in \`${files.get(proof.test)}\``
            : `no: ${proof.not}`;
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
