/** Fields of containers and volumes that the other files leave out, several to a pod. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configMaps } from "#resources/kinds/configmap.ts";
import { nodes } from "#resources/kinds/node.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { runtimeClasses } from "#resources/kinds/runtimeclass.ts";
import { secrets } from "#resources/kinds/secret.ts";
import { playPlugin, registerPlugin } from "#test/support/deviceplugin.ts";
import {
  eventually,
  type HostKubelet,
  shell,
  startHostKubelet,
  statusOf,
  WAIT,
} from "#test/support/hostkubelet.ts";
import { BUSYBOX } from "#test/support/images.ts";

setDefaultTimeout(480_000);

let k: HostKubelet;

/** Before others in PATH: a youki that is runc, and says what it was asked to do. */
const programs = mkdtempSync(join(tmpdir(), "bramble-programs-"));

beforeAll(async () => {
  writeFileSync(
    join(programs, "youki"),
    `#!/bin/sh\necho "$@" >> ${programs}/calls\nexec runc "$@"\n`,
    { mode: 0o755 },
  );
  process.env["PATH"] = `${programs}:${process.env["PATH"]}`;
  k = await startHostKubelet("kubelet-spec");
});

afterAll(async () => {
  await k.close();
  rmSync(programs, { recursive: true, force: true });
});

const inDefault = (name: string) => ({ name, namespace: "default" });

test.concurrent("environment from everywhere, and arguments that name it", async () => {
  await k.client.create(configMaps, { metadata: inDefault("env"), data: { A: "1", B: "2" } });
  const password = Buffer.from("pw").toString("base64");
  await k.client.create(secrets, { metadata: inDefault("env"), data: { password } });
  const env = [
    { name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
    { name: "HOST", valueFrom: { fieldRef: { fieldPath: "status.hostIP" } } },
    { name: "CPU", valueFrom: { resourceFieldRef: { resource: "limits.cpu", divisor: "1m" } } },
    { name: "KEY", valueFrom: { configMapKeyRef: { name: "env", key: "A" } } },
    { name: "PASSWORD", valueFrom: { secretKeyRef: { name: "env", key: "password" } } },
    { name: "JOINED", value: "$(POD)/$(KEY)/$$(KEY)" },
    { name: "LINES", value: "a\nb" },
  ];
  const container = shell("main", "", {
    env,
    envFrom: [{ prefix: "P_", configMapRef: { name: "env" } }],
    resources: { limits: { cpu: "250m" } },
    workingDir: "/etc",
    command: ["sh", "-c", 'echo "$0 $1"; pwd; env'],
    args: ["$(POD)", "$(P_B)"],
  });
  await k.create("env", { restartPolicy: "Never", containers: [container] });
  await k.until("env", ({ status }) => status?.phase === "Succeeded");
  const lines = (await k.logs("env")).split("\n");
  expect(lines.slice(0, 2)).toEqual(["env 2", "/etc"]);
  for (const line of ["HOST=192.0.2.2", "CPU=250", "PASSWORD=pw", "JOINED=env/1/$(KEY)", "P_A=1"]) {
    expect(lines).toContain(line);
  }
  expect(lines.join("\n")).toContain("LINES=a\nb\n");
});

test.concurrent("the program of the image runs where the pod names none", async () => {
  const { command: _, ...bare } = shell("main", "");
  const args = ["echo", "argument"];
  await k.create("image", { restartPolicy: "Never", containers: [{ ...bare, args }] });
  await k.until("image", ({ status }) => status?.phase === "Succeeded");
  expect(await k.logs("image")).toBe("argument\n");
});

test.concurrent("a message is taken from the path that the container names", async () => {
  const container = shell("main", "echo here > /tmp/why", {
    terminationMessagePath: "/tmp/why",
    securityContext: { runAsUser: 1000 },
  });
  await k.create("message", { restartPolicy: "Never", containers: [container] });
  const pod = await k.until("message", ({ status }) => status?.phase === "Succeeded");
  expect(statusOf(pod)?.state?.terminated?.message).toBe("here\n");
});

test.concurrent("hooks by HTTP and by sleeping", async () => {
  const serve = 'mkdir /w; echo x > /w/start; httpd -p 8080 -h /w; exec sh -c "$WAIT"';
  const main = shell("main", serve, {
    env: [{ name: "WAIT", value: WAIT }],
    lifecycle: { preStop: { sleep: { seconds: 1 } } },
    startupProbe: {
      httpGet: { path: "/start", port: 8080 },
      periodSeconds: 1,
      failureThreshold: 30,
    },
  });
  const hook = shell("hook", WAIT, {
    lifecycle: { postStart: { httpGet: { path: "/start", port: 8080 } } },
  });
  await k.create("hooks", { containers: [main, hook], terminationGracePeriodSeconds: 5 });
  await k.until("hooks", (pod) => statusOf(pod)?.started === true);
  await k.ready("hooks");
  const began = performance.now();
  await k.remove("hooks");
  expect(performance.now() - began).toBeGreaterThan(1_000);
});

test.concurrent("seccomp, proc and privilege are as asked", async () => {
  const profile = `${k.dataDir}/seccomp/deny.json`;
  mkdirSync(`${k.dataDir}/seccomp`, { recursive: true });
  const rule = { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" };
  writeFileSync(profile, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [rule] }));
  const as = (name: string, securityContext: object) => shell(name, WAIT, { securityContext });
  await k.create("secure", {
    containers: [
      as("main", {}),
      as("default", { seccompProfile: { type: "RuntimeDefault" } }),
      as("local", { seccompProfile: { type: "Localhost", localhostProfile: "deny.json" } }),
      as("privileged", { privileged: true }),
    ],
  });
  await k.ready("secure");
  const mode = async (container: string) =>
    (await k.exec("secure", "grep Seccomp: /proc/1/status", container)).split("\t")[1];
  expect(await mode("main")).toBe("0\n");
  expect(await mode("default")).toBe("2\n");
  expect(await k.exec("secure", "mkdir /x 2>&1 || true", "local")).toContain("not permitted");
  expect(await k.exec("secure", "grep -c proc/sys /proc/mounts || true", "privileged")).toBe("0\n");
  expect(await k.exec("secure", "grep CapEff /proc/1/status", "main")).not.toBe(
    await k.exec("secure", "grep CapEff /proc/1/status", "privileged"),
  );
});

test.concurrent("a claim brings the local volume behind it, for the pod's group", async () => {
  const path = `${k.dataDir}/local`;
  mkdirSync(path, { recursive: true });
  writeFileSync(`${path}/f`, "kept");
  const capacity = { storage: "1Gi" };
  const accessModes = ["ReadWriteOnce"];
  const term = { matchExpressions: [{ key: "kubernetes.io/os", operator: "Exists" }] };
  await k.client.create(persistentVolumes, {
    metadata: { name: "pv" },
    spec: {
      capacity,
      accessModes,
      local: { path },
      nodeAffinity: { required: { nodeSelectorTerms: [term] } },
      claimRef: { namespace: "default", name: "claim" },
    },
  });
  await k.client.create(persistentVolumeClaims, {
    metadata: inDefault("claim"),
    spec: {
      accessModes,
      resources: { requests: capacity },
      volumeName: "pv",
      storageClassName: "",
    },
  });
  await k.create("claim", {
    securityContext: { fsGroup: 2000, fsGroupChangePolicy: "OnRootMismatch" },
    volumes: [{ name: "v", persistentVolumeClaim: { claimName: "claim" } }],
    containers: [shell("main", WAIT, { volumeMounts: [{ name: "v", mountPath: "/v" }] })],
  });
  await eventually("the event", async () =>
    (await k.reasons("claim")).includes("FailedMount") ? true : undefined,
  );
  const bound = { status: { phase: "Bound" } };
  await k.client.patch(persistentVolumeClaims, inDefault("claim"), "merge", bound, {
    subresource: "status",
  });
  await k.ready("claim");
  expect(await k.exec("claim", "cat /v/f; stat -c ' %g' /v")).toBe("kept 2000\n");
  await k.remove("claim");
  expect(readFileSync(`${path}/f`, "utf8")).toBe("kept");
});

test.concurrent("what a privileged pod mounts is seen outside with Bidirectional", async () => {
  const path = `${k.dataDir}/spread`;
  mkdirSync(path, { recursive: true });
  Bun.spawnSync(["mount", "--bind", path, path]);
  Bun.spawnSync(["mount", "--make-rshared", path]);
  try {
    const mount = { name: "h", mountPath: "/h", mountPropagation: "Bidirectional" };
    const script = `mkdir -p /h/in; mount -t tmpfs t /h/in; touch /h/in/file; ${WAIT}`;
    const container = shell("main", script, {
      securityContext: { privileged: true },
      volumeMounts: [mount],
    });
    const reader = shell("reader", WAIT, {
      volumeMounts: [{ ...mount, mountPropagation: "HostToContainer" }],
    });
    await k.create("spread", {
      volumes: [{ name: "h", hostPath: { path } }],
      containers: [reader, container],
    });
    await k.ready("spread");
    await eventually("the file", () => (existsSync(`${path}/in/file`) ? true : undefined));
    expect(await k.exec("spread", "ls /h/in", "reader")).toBe("file\n");
    await k.remove("spread");
  } finally {
    Bun.spawnSync(["umount", "-R", "-l", path]);
  }
});

test.concurrent("the files of an image are a volume, read-only, let go with the pod", async () => {
  const script = "ls /image/bin/busybox; cat /part/passwd; touch /image/x; /image/bin/busybox true";
  await k.create("layers", {
    volumes: [{ name: "files", image: { reference: BUSYBOX, pullPolicy: "IfNotPresent" } }],
    containers: [
      shell("main", `${script}; echo end of words; sleep 1000`, {
        volumeMounts: [
          { name: "files", mountPath: "/image" },
          { name: "files", mountPath: "/part", subPath: "etc" },
        ],
      }),
    ],
  });
  await k.ready("layers");
  const log = await eventually("the end of its words", async () => {
    const text = await k.logs("layers");
    return text.includes("end of words") ? text : undefined;
  });
  expect(log).toContain("busybox: Permission denied");
  expect(log).toContain("/image/bin/busybox\n");
  expect(log).toContain("root:x:0:0");
  expect(log).toContain("Read-only file system");
  const { uid } = (await k.get("layers"))?.metadata ?? {};
  const { address, namespace } = k.host.containerd;
  const list = ["ctr", "--address", address, "--namespace", namespace, "snapshots", "list"];
  const held = () => Bun.spawnSync(list).stdout.toString();
  expect(held()).toContain(`bramble-${uid}-files`);
  await k.remove("layers");
  expect(held()).not.toContain(`bramble-${uid}-files`);
});

test.concurrent("a pod on the node's network sees the node's hosts and resolver", async () => {
  await k.create("hosts", { hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" });
  await k.ready("hosts");
  const [first] = (await k.exec("hosts", "cat /etc/hosts")).split("\n");
  expect(first).toBe("# Kubernetes-managed hosts file (host network).");
  expect(await k.exec("hosts", "cat /etc/resolv.conf")).toContain("nameserver 10.43.0.10");
});

test.concurrent("a device of a plugin comes with what the plugin says", async () => {
  const resource = "example.com/thing";
  const plugin = await playPlugin(k.pluginDir, "thing.sock", "/etc/hostname");
  plugin.tell({ one: true });
  await registerPlugin(k.pluginDir, "thing.sock", resource);
  await eventually("the offer", async () => {
    const node = await k.client.get(nodes, { name: "host1" });
    return node?.status?.allocatable?.[resource] === "1" ? true : undefined;
  });
  const resources = { limits: { [resource]: "1" } };
  await k.create("plugged", { containers: [shell("main", WAIT, { resources })] });
  await k.ready("plugged");
  const script = "echo $DEVICE_IDS; echo x > /dev/thing && test -c /dev/thing && wc -l < /plugged";
  expect(await k.exec("plugged", script)).toBe("one\n1\n");
  await k.create("late", { containers: [shell("main", WAIT, { resources })] });
  const late = await k.until("late", ({ status }) => status?.phase === "Failed");
  expect(late.status?.reason).toMatch(/^(OutOfexample.com\/thing|UnexpectedAdmissionError)$/);
  plugin.close();
});

test.concurrent("a class names another runtime, or one that the node lacks", async () => {
  for (const handler of ["youki", "kata"]) {
    await k.client.create(runtimeClasses, { metadata: { name: handler }, handler });
  }
  const containers = [shell("main", WAIT), shell("second", WAIT)];
  await k.create("youki", { runtimeClassName: "youki", containers });
  await k.ready("youki");
  const id = statusOf(await k.get("youki"))?.containerID?.replace("containerd://", "") ?? "";
  expect(await k.exec("youki", "echo in")).toBe("in\n");
  const calls = readFileSync(join(programs, "calls"), "utf8");
  expect(calls).toMatch(new RegExp(`create .*${id}`));
  expect(calls).toMatch(new RegExp(`exec .*${id}`));
  await k.remove("youki");
  await k.create("kata", { runtimeClassName: "kata" });
  await eventually("the event", async () =>
    (await k.reasons("kata")).includes("FailedCreatePodSandBox") ? true : undefined,
  );
});

test.concurrent("volumes that no node without a cloud can have are named", async () => {
  const volumes = [{ name: "v", csi: { driver: "none.example.com" } }];
  await k.create("csi", { volumes });
  await eventually("the event", async () =>
    (await k.reasons("csi")).includes("FailedMount") ? true : undefined,
  );
  await k.create("class", { runtimeClassName: "none" }).then(
    () => {
      throw new Error("a pod of an unknown class was taken");
    },
    (error) => expect(String(error)).toContain("RuntimeClass"),
  );
});
