/** Pods that go too far in one way each, and the levels that they are held to. */
import type { Pod } from "#resources/types.gen.ts";

export interface Case {
  readonly level: string;
  readonly version: string;
  readonly pod: Pod;
}

const LEVELS = ["privileged", "baseline", "restricted"];
const VERSIONS = ["latest", "v1.0", "v1.7", "v1.18", "v1.21", "v1.22", "v1.24", "v1.26", "v1.28"];
const LATER = ["v1.30", "v1.31", "v1.33", "v1.34", "v1.99"];

const tight = {
  allowPrivilegeEscalation: false,
  runAsNonRoot: true,
  capabilities: { drop: ["ALL"] },
  seccompProfile: { type: "RuntimeDefault" },
};

const image = "i:1";
/** Three containers, of which the second goes too far, or the first and the last as well. */
const one = (securityContext: object, more: object = {}): object => ({
  initContainers: [{ name: "a", image, securityContext: tight }],
  containers: [{ name: "b", image, securityContext: { ...tight, ...securityContext }, ...more }],
});
const three = (securityContext: object, more: object = {}): object => {
  const container = { image, securityContext: { ...tight, ...securityContext }, ...more };
  return {
    initContainers: [{ ...container, name: "a" }],
    containers: [
      { ...container, name: "b" },
      { name: "fine", image, securityContext: tight },
    ],
    ephemeralContainers: [{ ...container, name: "c" }],
  };
};
const pod = (securityContext: object, more: object = {}): object => ({
  ...one({}),
  securityContext,
  ...more,
});
const bare = (more: object = {}): object => ({ containers: [{ name: "b", image }], ...more });

/** Of containers, and of some of them of the whole pod. */
const CONTEXTS: ReadonlyArray<readonly [object, boolean?]> = [
  [{ privileged: true }],
  [{ allowPrivilegeEscalation: true }],
  [{ allowPrivilegeEscalation: undefined }],
  [{ capabilities: { add: ["CHOWN", "NET_BIND_SERVICE", "NET_ADMIN", "BPF"] } }],
  [{ capabilities: { drop: ["ALL"], add: ["NET_BIND_SERVICE"] } }],
  [{ capabilities: { drop: ["CHOWN"], add: ["SYS_CHROOT"] } }],
  [{ procMount: "Unmasked" }],
  [{ procMount: "Default" }],
  [{ runAsNonRoot: false }, true],
  [{ runAsNonRoot: undefined }],
  [{ runAsUser: 0 }, true],
  [{ runAsUser: 1000 }, true],
  [{ seLinuxOptions: { type: "container_t" } }, true],
  [{ seLinuxOptions: { type: "container_engine_t" } }, true],
  [{ seLinuxOptions: { type: "spc_t", user: "u", role: "r" } }, true],
  [{ seLinuxOptions: { level: "s0:c123" } }, true],
  [{ seccompProfile: { type: "Unconfined" } }, true],
  [{ seccompProfile: { type: "Localhost", localhostProfile: "p" } }, true],
  [{ seccompProfile: undefined }],
  [{ appArmorProfile: { type: "Unconfined" } }, true],
  [{ appArmorProfile: { type: "Localhost", localhostProfile: "p" } }, true],
  [{ windowsOptions: { hostProcess: true } }, true],
];

const sysctl = (...names: string[]): object => ({
  sysctls: names.map((name) => ({ name, value: "1" })),
});
const SYSCTLS = [
  sysctl("kernel.shm_rmid_forced", "net.ipv4.tcp_syncookies"),
  sysctl("net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time"),
  sysctl("net.ipv4.tcp_rmem", "kernel.msgmax", "net.core.somaxconn"),
];

const http = (host: string): object => ({ httpGet: { port: 80, host } });
const tcp = (host: string): object => ({ tcpSocket: { port: 80, host } });
const HANDLERS: readonly object[] = [
  { livenessProbe: http("example.com"), readinessProbe: tcp("10.0.0.1") },
  { startupProbe: http("127.0.0.1"), readinessProbe: tcp("") },
  { lifecycle: { postStart: http("b.example"), preStop: tcp("a.example") } },
  { ports: [{ containerPort: 80, hostPort: 8080 }, { containerPort: 81 }] },
];

const VOLUMES: readonly object[] = [
  { emptyDir: {} },
  { configMap: { name: "c" } },
  { secret: { secretName: "s" } },
  { projected: { sources: [] } },
  { downwardAPI: {} },
  { persistentVolumeClaim: { claimName: "c" } },
  { ephemeral: {} },
  { csi: { driver: "d" } },
  { image: { reference: "i:1" } },
  { hostPath: { path: "/" } },
  { nfs: { server: "s", path: "/" } },
  { iscsi: { targetPortal: "t", iqn: "i", lun: 0 } },
  { gitRepo: { repository: "r" } },
];

const volumes = (of: readonly object[]): object => ({
  volumes: of.map((volume, at) => ({ name: `v${at}`, ...volume })),
});

const specs: readonly object[] = [
  bare(),
  bare({ os: { name: "windows" } }),
  bare({ os: { name: "linux" }, securityContext: { runAsNonRoot: true } }),
  bare({ securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } } }),
  ...CONTEXTS.flatMap(([context, ofPod]) => [
    one(context),
    three(context),
    ...(ofPod === true ? [pod(context), { ...three(context), securityContext: context }] : []),
  ]),
  ...SYSCTLS.map((sysctls) => pod(sysctls)),
  ...HANDLERS.flatMap((handlers) => [one({}, handlers), three({}, handlers)]),
  ...VOLUMES.map((volume) => ({ ...one({}), ...volumes([volume]) })),
  { ...one({}), ...volumes(VOLUMES) },
  ...["hostNetwork", "hostPID", "hostIPC"].map((name) => ({ ...one({}), [name]: true })),
  { ...one({}), hostNetwork: true, hostPID: true, hostIPC: true, hostUsers: false },
];

const annotations = [
  { "container.apparmor.security.beta.kubernetes.io/b": "unconfined" },
  { "container.apparmor.security.beta.kubernetes.io/b": "runtime/default" },
  { "container.apparmor.security.beta.kubernetes.io/b": "localhost/p" },
  { "seccomp.security.alpha.kubernetes.io/pod": "unconfined" },
  { "container.seccomp.security.alpha.kubernetes.io/b": "unconfined" },
];

export const pods: readonly Pod[] = [
  ...specs.map((spec) => ({ metadata: { name: "p" }, spec }) as Pod),
  ...annotations.map(
    (each) => ({ metadata: { name: "p", annotations: each }, spec: one({}) }) as Pod,
  ),
];

export const cases: readonly Case[] = [...VERSIONS, ...LATER].flatMap((version) =>
  LEVELS.flatMap((level) => pods.map((each) => ({ level, version, pod: each }))),
);
