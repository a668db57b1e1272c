/** Volumes, environment and isolation as a container sees them. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpuWeight } from "#agents/runtime/cgrouplimits.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { events } from "#resources/kinds/event.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import { secrets } from "#resources/kinds/secret.ts";
import { milliValue } from "#resources/quantity.ts";
import {
  eventually,
  type HostKubelet,
  shell,
  startHostKubelet,
  statusOf,
  WAIT,
} from "#test/support/hostkubelet.ts";

setDefaultTimeout(480_000);

let k: HostKubelet;

beforeAll(async () => {
  k = await startHostKubelet("kubelet-config");
});

afterAll(async () => {
  await k.close();
});

const inDefault = (name: string) => ({ name, namespace: "default" });

test.concurrent("configMap and secret, updated as a whole within ten seconds", async () => {
  await k.client.create(configMaps, { metadata: inDefault("cm"), data: { a: "1", b: "1" } });
  await k.client.create(secrets, {
    metadata: inDefault("sec"),
    data: { password: Buffer.from("pw").toString("base64") },
  });
  await k.create("files", {
    volumes: [
      { name: "cm", configMap: { name: "cm", defaultMode: 0o400 } },
      { name: "sec", secret: { secretName: "sec", items: [{ key: "password", path: "x/y" }] } },
    ],
    containers: [
      shell("main", WAIT, {
        volumeMounts: [
          { name: "cm", mountPath: "/cm" },
          { name: "sec", mountPath: "/sec" },
          { name: "cm", mountPath: "/etc/one", subPath: "a" },
        ],
      }),
    ],
  });
  await k.ready("files");
  expect(await k.exec("files", "cat /cm/a /cm/b /sec/x/y /etc/one")).toBe("11pw1");
  expect(await k.exec("files", "stat -L -c %a /cm/a; grep ' /sec ' /proc/mounts")).toMatch(
    /^400\n\S+ \/sec tmpfs ro/,
  );
  await k.client.patch(configMaps, inDefault("cm"), "merge", { data: { a: "2", b: "2" } });
  const seen = await eventually("the change", async () => {
    // One set of files, read to its end: the old one goes when the new one is there.
    const read = "d=$(readlink /cm/..data); cat /cm/$d/a /cm/$d/b && printf whole || true";
    const text = await k.exec("files", read);
    return text.endsWith("whole") && text !== "11whole" ? text : undefined;
  });
  expect(seen).toBe("22whole");
  expect(await k.exec("files", "cat /etc/one")).toBe("1");
});

test.concurrent("the service account's token, certificate and namespace", async () => {
  await k.create("token", { automountServiceAccountToken: true });
  await k.ready("token");
  const dir = "/var/run/secrets/kubernetes.io/serviceaccount";
  const text = await k.exec("token", `cd ${dir}; cat token; echo; cat ca.crt namespace`);
  const [token = "", rest] = text.split("\n");
  const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64").toString());
  expect(claims.sub).toBe("system:serviceaccount:default:default");
  expect(claims["kubernetes.io"].pod.name).toBe("token");
  expect(rest).toBe("PEMdefault");
});

test.concurrent("downward API, with labels that change", async () => {
  const items = [
    { path: "labels", fieldRef: { fieldPath: "metadata.labels" } },
    {
      path: "cpu",
      resourceFieldRef: { containerName: "main", resource: "limits.cpu", divisor: "1m" },
    },
  ];
  const main = shell("main", WAIT, {
    volumeMounts: [{ name: "d", mountPath: "/d" }],
    resources: { limits: { cpu: "250m" } },
  });
  const volumes = [{ name: "d", downwardAPI: { items } }];
  await k.create("downward", { volumes, containers: [main] }, { labels: { app: "x" } });
  await k.ready("downward");
  expect(await k.exec("downward", "cat /d/labels; echo; cat /d/cpu")).toBe('app="x"\n250');
  await k.client.patch(pods, inDefault("downward"), "merge", {
    metadata: { labels: { app: "y" } },
  });
  await eventually("the new label", async () =>
    (await k.exec("downward", "cat /d/labels")) === 'app="y"' ? true : undefined,
  );
});

test.concurrent("emptyDir on disk and in memory, for the pod's group", async () => {
  const mounts = [
    { name: "disk", mountPath: "/disk" },
    { name: "mem", mountPath: "/mem" },
  ];
  await k.create("empty", {
    securityContext: { fsGroup: 2000, runAsUser: 1000 },
    volumes: [
      { name: "disk", emptyDir: {} },
      { name: "mem", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
    ],
    containers: [shell("main", WAIT, { volumeMounts: mounts })],
  });
  await k.ready("empty");
  expect(await k.exec("empty", "stat -c '%a %g' /disk /mem")).toBe("2777 2000\n2777 2000\n");
  expect(await k.exec("empty", "echo x > /disk/f; stat -c '%u %g' /disk/f")).toBe("1000 2000\n");
  expect(await k.exec("empty", "df -k /mem | tail -1")).toMatch(/^tmpfs +1024 /);
});

test.concurrent("hostPath, read-only where the mount says so, and an expression", async () => {
  const folder = `${k.dataDir}/shared`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/f`, "host");
  await k.create("host", {
    volumes: [{ name: "h", hostPath: { path: folder, type: "Directory" } }],
    containers: [
      shell("main", WAIT, {
        env: [{ name: "SELF", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }],
        volumeMounts: [
          { name: "h", mountPath: "/ro", readOnly: true },
          { name: "h", mountPath: "/rw" },
          { name: "h", mountPath: "/own", subPathExpr: "pods/$(SELF)" },
        ],
      }),
    ],
  });
  await k.ready("host");
  expect(await k.exec("host", "cat /ro/f; ! touch /ro/x 2>/dev/null && echo ' refused'")).toBe(
    "host refused\n",
  );
  await k.exec("host", "echo mine > /own/file");
  expect(readFileSync(`${folder}/pods/host/file`, "utf8")).toBe("mine\n");
  await k.remove("host", 1);
  expect(readFileSync(`${folder}/f`, "utf8")).toBe("host");
});

test.concurrent("what is missing is told, and found once it is there", async () => {
  const volumes = [{ name: "v", configMap: { name: "late" } }];
  const env = [{ name: "X", valueFrom: { configMapKeyRef: { name: "late", key: "x" } } }];
  await k.create("late", { volumes, containers: [shell("main", WAIT, { env })] });
  await eventually("the event", async () =>
    (await k.reasons("late")).includes("FailedMount") ? true : undefined,
  );
  await k.client.create(configMaps, { metadata: inDefault("late"), data: { x: "there" } });
  await k.ready("late");
  expect(await k.exec("late", "echo $X")).toBe("there\n");
});

test.concurrent("limits are the kernel's", async () => {
  const resources = {
    limits: { cpu: "250m", memory: "64Mi" },
    requests: { cpu: "100m", memory: "32Mi" },
  };
  const { metadata } = await k.create("limits", {
    containers: [shell("main", WAIT, { resources })],
  });
  const status = statusOf(await k.ready("limits"));
  const id = status?.containerID?.replace("containerd://", "");
  const group = `${k.host.cgroup}/burstable/pod${metadata.uid}`;
  const root = "/sys/fs/cgroup";
  const read = (v1: string, v2: string) => {
    for (const path of [`${root}/${v1}`, `${root}${v2}`]) {
      try {
        return readFileSync(path, "utf8").trim();
      } catch {
        // The other version.
      }
    }
    throw new Error(`neither ${v1} nor ${v2}`);
  };
  const memory = (path: string) =>
    read(`memory${path}/memory.limit_in_bytes`, `${path}/memory.max`);
  expect(memory(group)).toBe("67108864");
  expect(memory(`${group}/${id}`)).toBe("67108864");
  expect(read(`cpu${group}/cpu.cfs_quota_us`, `${group}/cpu.max`)).toMatch(/^25000/);
  expect(read(`cpu${group}/cpu.shares`, `${group}/cpu.weight`)).toMatch(/^(102|4)$/);
  // All pods together weigh what the node has for them.
  const all = Number(read(`cpu${k.host.cgroup}/cpu.shares`, `${k.host.cgroup}/cpu.weight`));
  const [node] = (await k.client.list(nodes)).items;
  const shares = Math.floor(1.024 * milliValue(node?.status?.allocatable?.["cpu"] ?? ""));
  expect([shares, cpuWeight(shares)]).toContain(all);
});

test.concurrent("limits of a running container change without a restart", async () => {
  const resources = (cpu: string, memory: string) => ({
    requests: { cpu, memory },
    limits: { cpu, memory },
  });
  const restart = { resourceName: "memory", restartPolicy: "RestartContainer" };
  await k.create("resize", {
    containers: [
      shell("main", WAIT, { resources: resources("100m", "32Mi") }),
      shell("other", WAIT, { resources: resources("100m", "32Mi"), resizePolicy: [restart] }),
    ],
  });
  const before = await k.ready("resize");
  const quota =
    "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cut -d' ' -f1 /sys/fs/cgroup/cpu.max";
  expect(await k.exec("resize", quota)).toBe("10000\n");
  const patch = (name: string, cpu: string, memory: string) =>
    k.client.patch(
      pods,
      inDefault("resize"),
      "strategic",
      { spec: { containers: [{ name, resources: resources(cpu, memory) }] } },
      { subresource: "resize" },
    );
  await patch("main", "200m", "64Mi");
  const after = await k.until(
    "resize",
    (pod) => statusOf(pod)?.resources?.limits?.["cpu"] === "200m",
  );
  expect(await k.exec("resize", quota)).toBe("20000\n");
  expect(statusOf(after)?.restartCount).toBe(0);
  expect(statusOf(after)?.containerID).toBe(statusOf(before)?.containerID ?? "");
  await patch("other", "100m", "64Mi");
  const again = await k.until("resize", (pod) => statusOf(pod, "other")?.restartCount === 1);
  expect(statusOf(again)?.restartCount).toBe(0);
  await patch("main", "100", "64Mi");
  const pending = await k.until(
    "resize",
    ({ status }) => status?.conditions?.some(({ type }) => type === "PodResizePending") === true,
  );
  const condition = pending.status?.conditions?.find(({ type }) => type === "PodResizePending");
  expect(condition?.reason).toBe("Infeasible");
  await patch("main", "150m", "64Mi");
  await k.until(
    "resize",
    ({ status }) => status?.conditions?.every(({ type }) => type !== "PodResizePending") === true,
  );
});

test.concurrent("users, groups and capabilities", async () => {
  const securityContext = {
    capabilities: { drop: ["ALL"], add: ["NET_BIND_SERVICE"] },
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
  };
  await k.create("user", {
    securityContext: { runAsUser: 1000, runAsGroup: 3000, supplementalGroups: [4000] },
    containers: [shell("main", WAIT, { securityContext })],
  });
  await k.ready("user");
  expect(await k.exec("user", "id")).toContain("uid=1000 gid=3000 groups=3000,4000");
  const status = await k.exec("user", "grep -E 'NoNewPrivs|CapBnd' /proc/1/status");
  expect(status.replace(/\s+/g, " ")).toContain("CapBnd: 0000000000000400 NoNewPrivs: 1");
  expect(await k.exec("user", "touch /x 2>&1 || true")).toContain("Read-only file system");
});

test.concurrent("root is refused to those who do not want it", async () => {
  await k.create("nonroot", { securityContext: { runAsNonRoot: true } });
  const pod = await k.until(
    "nonroot",
    (one) => statusOf(one)?.state?.waiting?.reason === "CreateContainerConfigError",
  );
  expect(statusOf(pod)?.state?.waiting?.message).toContain("image will run as root");
});

test.concurrent("the node's namespaces where the pod asks for them", async () => {
  await k.create("hostns", { hostNetwork: true, hostPID: true, hostIPC: true });
  await k.ready("hostns");
  const links = "for n in net pid ipc; do readlink /proc/self/ns/$n; done";
  const own = Bun.spawnSync(["sh", "-c", links]).stdout.toString();
  expect(await k.exec("hostns", links)).toBe(own);
});

test.concurrent("names, aliases and the resolver", async () => {
  await k.create("names", {
    hostname: "h",
    subdomain: "s",
    hostAliases: [{ ip: "1.2.3.4", hostnames: ["alias"] }],
    dnsConfig: { options: [{ name: "ndots", value: "2" }] },
  });
  const pod = await k.ready("names");
  expect(await k.exec("names", "hostname; hostname -f")).toBe("h\nh.s.default.svc.cluster.local\n");
  const hosts = await k.exec("names", "cat /etc/hosts");
  expect(hosts).toContain("1.2.3.4\talias");
  expect(hosts).toContain(`${pod.status?.podIP}\th.s.default.svc.cluster.local\th`);
  expect(await k.exec("names", "cat /etc/resolv.conf")).toBe(
    "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.43.0.10\noptions ndots:2\n",
  );
});

test.concurrent("sysctls that are safe are set, others refused", async () => {
  const sysctl = (name: string) => ({ securityContext: { sysctls: [{ name, value: "1" }] } });
  await k.create("sysctl", sysctl("kernel.shm_rmid_forced"));
  await k.ready("sysctl");
  expect(await k.exec("sysctl", "cat /proc/sys/kernel/shm_rmid_forced")).toBe("1\n");
  await k.create("unsafe", sysctl("net.core.somaxconn"));
  const pod = await k.until("unsafe", ({ status }) => status?.phase === "Failed");
  expect(pod.status?.reason).toBe("SysctlForbidden");
});

test.concurrent("user namespaces that the runtime lacks are named", async () => {
  await k.create("userns", { hostUsers: false });
  await eventually("the event", async () =>
    (await k.reasons("userns")).includes("FailedCreatePodSandBox") ? true : undefined,
  );
});

test.concurrent("SELinux options are ignored on a system without it, as upstream", async () => {
  const securityContext = { seLinuxOptions: { level: "s0:c123,c456" } };
  await k.create("selinux", {
    securityContext,
    containers: [shell("main", WAIT, { securityContext })],
  });
  await k.ready("selinux");
});

test.concurrent("an NFS volume that this machine cannot mount is named", async () => {
  // Nothing listens there, and most systems have no program for it.
  const nfs = { server: "127.0.0.1", path: "/nowhere" };
  await k.create("nfs", {
    volumes: [{ name: "share", nfs }],
    containers: [shell("main", WAIT, { volumeMounts: [{ name: "share", mountPath: "/share" }] })],
  });
  const told = await eventually("the event", async () => {
    const { items } = await k.client.list(events, { namespace: "default" });
    return items.find(
      ({ involvedObject, reason }) => involvedObject.name === "nfs" && reason === "FailedMount",
    );
  });
  expect(told.message).toContain('MountVolume.SetUp failed for volume "share"');
  expect(told.message).toContain("127.0.0.1:/nowhere");
});

test.concurrent("read-only to the last mount below, where the pod asks for it", async () => {
  const root = `${k.dataDir}/tree`;
  mkdirSync(`${root}/below`, { recursive: true });
  Bun.spawnSync(["mount", "-t", "tmpfs", "below", `${root}/below`]);
  try {
    const mount = { name: "tree", readOnly: true };
    await k.create("rro", {
      volumes: [{ name: "tree", hostPath: { path: root } }],
      containers: [
        shell("main", WAIT, {
          volumeMounts: [
            { ...mount, mountPath: "/all", recursiveReadOnly: "Enabled" },
            { ...mount, mountPath: "/top", recursiveReadOnly: "Disabled" },
          ],
        }),
      ],
    });
    await k.ready("rro");
    const write = (path: string) => k.exec("rro", `touch ${path} 2>&1 || true`);
    expect(await write("/all/below/x")).toContain("Read-only file system");
    expect(await write("/top/x")).toContain("Read-only file system");
    expect(await write("/top/below/x")).toBe("");
  } finally {
    await k.remove("rro", 0);
    Bun.spawnSync(["umount", `${root}/below`]);
  }
});

const OVERCOMMIT = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages";

test.concurrent("huge pages where the node has them, refused where it has not", async () => {
  const asking = (size: string, amount: string) => ({
    limits: { [`hugepages-${size}`]: amount, memory: "32Mi", cpu: "10m" },
  });
  const before = readFileSync(OVERCOMMIT, "utf8");
  // The kernel makes them when they are used, and takes them back.
  writeFileSync("/proc/sys/vm/compact_memory", "1");
  writeFileSync(OVERCOMMIT, String(Number(before) + 2));
  try {
    const volumeMounts = [{ name: "huge", mountPath: "/huge" }];
    await k.create("huge", {
      volumes: [{ name: "huge", emptyDir: { medium: "HugePages" } }],
      containers: [shell("main", WAIT, { resources: asking("2Mi", "4Mi"), volumeMounts })],
    });
    await k.ready("huge");
    const use = "fallocate -l 4194304 /huge/f && stat -c %s /huge/f && grep ' /huge ' /proc/mounts";
    expect(await k.exec("huge", use)).toMatch(/^4194304\n\S+ \/huge hugetlbfs \S*pagesize=2M/);
    await k.create("gigantic", {
      containers: [shell("main", WAIT, { resources: asking("1Gi", "1Gi") })],
    });
    const pod = await k.until("gigantic", ({ status }) => status?.phase === "Failed");
    expect(pod.status?.reason).toBe("OutOfhugepages-1Gi");
    await k.remove("huge", 0);
  } finally {
    writeFileSync(OVERCOMMIT, before);
  }
});
