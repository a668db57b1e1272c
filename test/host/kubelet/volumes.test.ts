/** Volumes of the kinds and with the settings that the other files leave out. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { configMaps } from "#resources/kinds/configmap.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { secrets } from "#resources/kinds/secret.ts";
import { services } from "#resources/kinds/service.ts";
import type { PersistentVolumeSpec, Volume } from "#resources/types.gen.ts";
import {
  eventually,
  type HostKubelet,
  shell,
  startHostKubelet,
  statusOf,
  WAIT,
} from "#test/support/hostkubelet.ts";
import { type ShiftClock, shiftClock } from "#test/support/shiftclock.ts";

setDefaultTimeout(300_000);

let k: HostKubelet;
let clock: ShiftClock;

beforeAll(async () => {
  clock = shiftClock();
  k = await startHostKubelet("kubelet-volumes", { clock });
});

afterAll(async () => {
  await k.close();
});

const inDefault = (name: string) => ({ name, namespace: "default" });

/** A volume and the claim that is bound to it. */
async function bound(claim: string, spec: Partial<PersistentVolumeSpec>): Promise<void> {
  const capacity = { storage: "1Mi" };
  const accessModes = ["ReadWriteOnce"];
  const term = { matchExpressions: [{ key: "kubernetes.io/os", operator: "Exists" }] };
  const { volumeMode = "Filesystem" } = spec;
  await k.client.create(persistentVolumes, {
    metadata: { name: `pv-${claim}` },
    spec: {
      capacity,
      accessModes,
      nodeAffinity: { required: { nodeSelectorTerms: [term] } },
      claimRef: inDefault(claim),
      ...spec,
    },
  });
  await k.client.create(persistentVolumeClaims, {
    metadata: inDefault(claim),
    spec: {
      accessModes,
      volumeMode,
      resources: { requests: capacity },
      volumeName: `pv-${claim}`,
      storageClassName: "",
    },
  });
  const status = { status: { phase: "Bound" } };
  const options = { subresource: "status" };
  await k.client.patch(persistentVolumeClaims, inDefault(claim), "merge", status, options);
}

test.concurrent("hostPath of every type, and refused where it is another", async () => {
  const root = `${k.dataDir}/types`;
  mkdirSync(`${root}/folder`, { recursive: true });
  writeFileSync(`${root}/file`, "content");
  const server = createServer().listen(`${root}/socket`);
  const loop = Bun.spawnSync(["losetup", "--find", "--show", blockFile("types")]);
  const block = loop.stdout.toString().trim();
  try {
    const right: ReadonlyArray<[type: string, path: string, test: string]> = [
      ["", `${root}/folder`, "-d"],
      ["Directory", `${root}/folder`, "-d"],
      ["DirectoryOrCreate", `${root}/made/folder`, "-d"],
      ["File", `${root}/file`, "-f"],
      ["FileOrCreate", `${root}/madefile`, "-f"],
      ["Socket", `${root}/socket`, "-S"],
      ["CharDevice", "/dev/null", "-c"],
      ["BlockDevice", block, "-b"],
    ];
    const volumes = right.map(([type, path], at) => ({ name: `v${at}`, hostPath: { path, type } }));
    const volumeMounts = volumes.map(({ name }) => ({ name, mountPath: `/v/${name}` }));
    await k.create("types", { volumes, containers: [shell("main", WAIT, { volumeMounts })] });
    await k.ready("types");
    for (const [at, [type, , flag]] of right.entries()) {
      const found = await k.exec("types", `test ${flag} /v/v${at} && echo yes || echo no`);
      expect([type, found]).toEqual([type, "yes\n"]);
    }
    expect(statSync(`${root}/made/folder`).mode & 0o777).toBe(0o755);
    expect(statSync(`${root}/madefile`).mode & 0o777).toBe(0o644);
    const wrong: Array<[type: string, path: string]> = [
      ["Directory", `${root}/file`],
      ["Directory", `${root}/none`],
      ["File", `${root}/folder`],
      ["Socket", `${root}/file`],
      ["CharDevice", `${root}/file`],
      ["BlockDevice", "/dev/null"],
    ];
    for (const [at, [type, path]] of wrong.entries()) {
      await k.create(`wrong${at}`, { volumes: [{ name: "v", hostPath: { path, type } }] });
    }
    for (const [at, [type]] of wrong.entries()) {
      const told = await k.said(`wrong${at}`, "FailedMount");
      expect([type, told]).toEqual([
        type,
        expect.stringMatching(/SetUp failed for volume "v" .*hostPath type check failed/),
      ]);
    }
    await k.remove("types", 1);
  } finally {
    server.close();
    Bun.spawnSync(["losetup", "--detach", block]);
  }
});

function blockFile(name: string): string {
  const path = `${k.dataDir}/${name}.img`;
  writeFileSync(path, new Uint8Array(1 << 20));
  return path;
}

test.concurrent("block volumes become devices at their paths, without privileges", async () => {
  const loop = Bun.spawnSync(["losetup", "--find", "--show", blockFile("block")]);
  const path = loop.stdout.toString().trim();
  try {
    await bound("block", { local: { path }, volumeMode: "Block" });
    await k.create("block", {
      volumes: [{ name: "v", persistentVolumeClaim: { claimName: "block" } }],
      containers: [
        shell("main", WAIT, { volumeDevices: [{ name: "v", devicePath: "/dev/xvda" }] }),
      ],
    });
    await k.ready("block");
    const use = "test -b /dev/xvda && printf bytes > /dev/xvda && sync && head -c 5 /dev/xvda";
    expect(await k.exec("block", use)).toBe("bytes");
    await k.remove("block");
    const kept = Bun.spawnSync(["head", "-c", "5", path]);
    expect(kept.stdout.toString()).toBe("bytes");
  } finally {
    Bun.spawnSync(["losetup", "--detach", path]);
  }
});

test.concurrent("an ephemeral volume is the claim that bears the pod's name", async () => {
  const path = `${k.dataDir}/ephemeral`;
  mkdirSync(path);
  const template = {
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Mi" } } },
  };
  await k.create("short", {
    volumes: [{ name: "scratch", ephemeral: { volumeClaimTemplate: template } }],
    containers: [shell("main", WAIT, { volumeMounts: [{ name: "scratch", mountPath: "/s" }] })],
  });
  await k.said("short", "FailedMount", /short-scratch/);
  await bound("short-scratch", { local: { path } });
  // Of the same name alone it is someone else's.
  await k.said("short", "FailedMount", /was not created for pod default\/short/);
  const { uid = "" } = (await k.get("short"))?.metadata ?? {};
  const owner = { apiVersion: "v1", kind: "Pod", name: "short", uid, controller: true };
  const body = { metadata: { ownerReferences: [owner] } };
  await k.client.patch(persistentVolumeClaims, inDefault("short-scratch"), "merge", body);
  await k.ready("short");
  await k.exec("short", "echo there > /s/file");
  expect(await Bun.file(`${path}/file`).text()).toBe("there\n");
});

test.concurrent("all sources in one folder, and a token that is renewed in time", async () => {
  await k.client.create(configMaps, { metadata: inDefault("parts"), data: { a: "1", b: "2" } });
  await k.client.create(secrets, {
    metadata: inDefault("parts"),
    data: { key: Buffer.from("hidden").toString("base64") },
  });
  const sources = [
    { configMap: { name: "parts", items: [{ key: "a", path: "from/map" }] } },
    { secret: { name: "parts", items: [{ key: "key", path: "from/secret", mode: 0o400 }] } },
    { downwardAPI: { items: [{ path: "name", fieldRef: { fieldPath: "metadata.name" } }] } },
    { serviceAccountToken: { path: "token", audience: "others", expirationSeconds: 600 } },
  ];
  await k.create("projected", {
    volumes: [{ name: "p", projected: { sources, defaultMode: 0o444 } }],
    containers: [shell("main", WAIT, { volumeMounts: [{ name: "p", mountPath: "/p" }] })],
  });
  await k.ready("projected");
  expect(await k.exec("projected", "cat /p/from/map /p/from/secret /p/name")).toBe(
    "1hiddenprojected",
  );
  expect(await k.exec("projected", "stat -L -c %a /p/from/secret /p/from/map")).toBe("400\n444\n");
  const token = async () => {
    const [, body = ""] = (await k.exec("projected", "cat /p/token")).split(".");
    return JSON.parse(Buffer.from(body, "base64").toString());
  };
  const first = await token();
  expect(first.aud).toEqual(["others"]);
  expect(first.exp - first.iat).toBe(600);
  expect(first["kubernetes.io"].pod.name).toBe("projected");
  // At four fifths of its life it is another one; not before.
  clock.shift(400_000);
  await Bun.sleep(1_000);
  expect((await token()).jti).toBe(first.jti);
  clock.shift(90_000);
  await eventually("another token", async () =>
    (await token()).jti === first.jti ? undefined : true,
  );
});

test.concurrent("what is optional may be missing, and comes when it is there", async () => {
  const env = [
    { name: "KEY", valueFrom: { secretKeyRef: { name: "later", key: "k", optional: true } } },
  ];
  const volumes: Volume[] = [
    { name: "s", secret: { secretName: "later", optional: true } },
    { name: "c", configMap: { name: "later", optional: true } },
  ];
  const container = (name: string) =>
    shell(name, WAIT, {
      env,
      envFrom: [{ secretRef: { name: "later", optional: true }, prefix: "FROM_" }],
      volumeMounts: volumes.map((volume) => ({ name: volume.name, mountPath: `/${volume.name}` })),
    });
  await k.create("optional", { volumes, containers: [container("main")] });
  await k.ready("optional");
  expect(await k.exec("optional", "echo [$KEY$FROM_k]; ls /s /c")).toBe("[]\n/c:\n\n/s:\n");
  const k64 = Buffer.from("now").toString("base64");
  // Immutable ones are mounted as others are.
  await k.client.create(secrets, {
    metadata: inDefault("later"),
    immutable: true,
    data: { k: k64 },
  });
  await k.client.create(configMaps, {
    metadata: inDefault("later"),
    immutable: true,
    data: { c: "map" },
  });
  const files = await eventually("the files", async () => {
    const text = await k.exec("optional", "cat /s/k /c/c 2>/dev/null || true");
    return text === "nowmap" ? text : undefined;
  });
  expect(files).toBe("nowmap");
  const change = { data: { c: "other" } };
  await expect(k.client.patch(configMaps, inDefault("later"), "merge", change)).rejects.toThrow(
    "immutable",
  );
  // A container that starts now has the variables too.
  const id = statusOf(await k.get("optional"))?.containerID?.replace("containerd://", "") ?? "";
  await k.host.runtime.signal(id, "SIGKILL");
  await k.until(
    "optional",
    (pod) => statusOf(pod)?.restartCount === 1 && statusOf(pod)?.ready === true,
  );
  expect(await k.exec("optional", "echo $KEY $FROM_k")).toBe("now now\n");
});

test.concurrent("variables name the Services, unless they are turned off", async () => {
  const ports = [{ name: "http", port: 80, protocol: "TCP" }];
  const made = await k.client.create(services, {
    metadata: inDefault("linked"),
    spec: { selector: { app: "none" }, ports },
  });
  const address = made.spec?.clusterIP ?? "";
  expect(address).not.toBe("");
  await k.create("links", { enableServiceLinks: true });
  await k.create("nolinks", { enableServiceLinks: false });
  await k.ready("links");
  await k.ready("nolinks");
  const all = await k.exec("links", "env");
  expect(all).toContain(`LINKED_SERVICE_HOST=${address}\n`);
  expect(all).toContain("LINKED_SERVICE_PORT_HTTP=80\n");
  expect(all).toContain(`LINKED_PORT=tcp://${address}:80\n`);
  expect(await k.exec("nolinks", "env")).not.toContain("LINKED_");
});

test.concurrent("a volume that is right is left alone, any other is the group's", async () => {
  const pod = async (name: string, fsGroupChangePolicy: string) => {
    const path = `${k.dataDir}/${name}`;
    mkdirSync(path);
    Bun.spawnSync(["chown", ":2000", path]);
    Bun.spawnSync(["chmod", "2775", path]);
    writeFileSync(`${path}/file`, "");
    Bun.spawnSync(["chown", ":0", `${path}/file`]);
    await bound(name, { local: { path } });
    await k.create(name, {
      securityContext: { fsGroup: 2000, fsGroupChangePolicy },
      volumes: [{ name: "v", persistentVolumeClaim: { claimName: name } }],
      containers: [shell("main", WAIT, { volumeMounts: [{ name: "v", mountPath: "/v" }] })],
    });
    await k.ready(name);
    return k.exec(name, "stat -c '%g %a' /v /v/file");
  };
  expect(await pod("mismatch", "OnRootMismatch")).toBe("2000 2775\n0 644\n");
  expect(await pod("always", "Always")).toBe("2000 2775\n2000 664\n");
});
