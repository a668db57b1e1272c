import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createVolumes } from "#agents/volumes/agent.ts";
import { createObjectSource } from "#agents/volumes/objects.ts";
import type { PodVolumes, VolumeRequest } from "#agents/volumes/volumes.ts";
import { silentLog } from "#base/log.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import type { PersistentVolumeSpec, PodSpec, VolumeMount } from "#resources/types.gen.ts";
import { type FakeClock, fakeClock } from "#test/support/clock.ts";
import { FakeApi } from "#test/support/fakeapi.ts";
import { podOf } from "#test/support/podstate.ts";

let dataDir: string;
let api: FakeApi;
let clock: FakeClock;
let volumes: PodVolumes;
/** Mount points that the kernel has, the innermost last. */
let mounted: string[];
let ran: string[];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "bramble-volumes-"));
  api = new FakeApi();
  clock = fakeClock();
  mounted = [];
  ran = [];
  const table = join(dataDir, "mountinfo");
  const tell = () =>
    writeFileSync(table, mounted.map((point) => `1 2 0:1 / ${point} rw - t t rw\n`).join(""));
  tell();
  const { client } = api;
  const objects = createObjectSource({ client, clock, log: silentLog });
  volumes = createVolumes({
    images: { mountImage: async () => {}, releaseImages: async () => {} },
    client,
    objects,
    clock,
    log: silentLog,
    dataDir,
    mountTable: table,
    run: async (argv) => {
      ran.push(argv.join(" ").replaceAll(dataDir, "DIR"));
      const point = argv.at(-1) ?? "";
      mounted = argv[0] === "mount" ? [...mounted, point] : mounted.filter((one) => one !== point);
      tell();
      return { exitCode: 0, stdout: "", stderr: "" };
    },
  });
});

afterEach(() => {
  volumes.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const request = (spec: Partial<PodSpec>): VolumeRequest => ({
  pod: podOf(spec),
  directory: join(dataDir, "pods/u1"),
  fields: { field: () => "field", resource: () => "1" },
});

function claim(name: string, spec: Partial<PersistentVolumeSpec>, owner?: string): void {
  api.put(persistentVolumes, { metadata: { name: `pv-${name}` }, spec });
  api.put(persistentVolumeClaims, {
    metadata: {
      name,
      namespace: "shop",
      ...(owner !== undefined && {
        ownerReferences: [
          { apiVersion: "v1", kind: "Pod", name: "web", uid: owner, controller: true },
        ],
      }),
    },
    spec: { volumeName: `pv-${name}` },
    status: { phase: "Bound" },
  });
}

test("configuration is in memory, mounted once for all pods", async () => {
  api.put(configMaps, { metadata: { name: "cm", namespace: "shop" }, data: { a: "1" } });
  const spec = { volumes: [{ name: "v", configMap: { name: "cm" } }] };
  const made = await volumes.prepare(request(spec));
  const path = join(dataDir, "memory/u1/v");
  expect(made.get("v")).toEqual({ path, readOnly: true });
  expect(readFileSync(`${path}/a`, "utf8")).toBe("1");
  await volumes.prepare(request(spec));
  expect(ran).toEqual(["mount -t tmpfs -o mode=0755 -- bramble DIR/memory"]);
  await volumes.teardown("u1");
  expect(existsSync(path)).toBe(false);
});

test("an NFS volume is mounted and unmounted", async () => {
  const nfs = { server: "10.0.0.9", path: "/share", readOnly: true };
  claim("c", { nfs: { server: "10.0.0.9", path: "/claim" }, mountOptions: ["nolock", "vers=4"] });
  const spec = {
    volumes: [
      { name: "n", nfs },
      { name: "c", persistentVolumeClaim: { claimName: "c", readOnly: true } },
    ],
  };
  const made = await volumes.prepare(request(spec));
  expect(made.get("n")?.readOnly).toBe(true);
  expect(made.get("c")?.readOnly).toBe(true);
  expect(ran.toSorted()).toEqual([
    "mount -t nfs -o nolock,vers=4 -- 10.0.0.9:/claim DIR/pods/u1/volumes/c",
    "mount -t nfs -o ro -- 10.0.0.9:/share DIR/pods/u1/volumes/n",
  ]);
  ran = [];
  await volumes.teardown("u1");
  expect(ran.toSorted()).toEqual(["umount DIR/pods/u1/volumes/c", "umount DIR/pods/u1/volumes/n"]);
  expect(existsSync(join(dataDir, "pods/u1/volumes"))).toBe(false);
});

test("block volumes become devices at their paths", async () => {
  claim("disk", { local: { path: "/dev/null" }, volumeMode: "Block" });
  const spec = { volumes: [{ name: "v", persistentVolumeClaim: { claimName: "disk" } }] };
  // A character device: the check says what it is not.
  expect(volumes.prepare(request(spec))).rejects.toThrow("/dev/null is not a block device");
});

test("an ephemeral volume is a claim of the pod's own", async () => {
  claim("web-v", { local: { path: dataDir } });
  const spec = { volumes: [{ name: "v", ephemeral: {} }] };
  expect(volumes.prepare(request(spec))).rejects.toThrow("pod is not owner");
  claim("web-v", { local: { path: dataDir } }, podOf().metadata.uid);
  const made = await volumes.prepare(request({ volumes: [{ name: "v", ephemeral: {} }] }));
  expect(made.get("v")).toEqual({ path: dataDir, readOnly: false });
});

describe("what is missing is told", () => {
  test.each([
    [{ persistentVolumeClaim: { claimName: "no" } }, 'persistentvolumeclaim "no" not found'],
    [{ configMap: { name: "no" } }, 'configmap "no" not found'],
    [{ awsElasticBlockStore: { volumeID: "x" } }, "this type of volume is not supported"],
    [{ emptyDir: { medium: "Moon" } }, "emptyDir medium Moon is not supported"],
  ])("%j", async (source, text) => {
    const spec = { volumes: [{ name: "v", ...source }] };
    expect(volumes.prepare(request(spec))).rejects.toThrow(
      `MountVolume.SetUp failed for volume "v" : ${text}`,
    );
  });
});

test("mounts of a container", async () => {
  const asked = request({ volumes: [{ name: "v", emptyDir: {} }] });
  const made = await volumes.prepare(asked);
  const mounts = (mount: Partial<VolumeMount>) =>
    volumes.mounts(made, [{ name: "v", mountPath: "/v", ...mount }], (text) => text, asked);
  const source = join(dataDir, "pods/u1/volumes/v");
  expect(await mounts({})).toEqual([{ source, target: "/v", readOnly: false }]);
  expect(await mounts({ readOnly: true, recursiveReadOnly: "Enabled", mountPath: "rel" })).toEqual([
    { source, target: "/rel", readOnly: true, recursiveReadOnly: true },
  ]);
  expect(await mounts({ mountPropagation: "HostToContainer" })).toEqual([
    { source, target: "/v", readOnly: false, propagation: "rslave" },
  ]);
  const [below] = await mounts({ subPath: "a/b" });
  expect(below?.source).toBe(join(dataDir, "pods/u1/subpaths/v/1"));
  expect(ran.at(-1)).toMatch(
    /^mount --bind -- \/proc\/\d+\/fd\/\d+ DIR\/pods\/u1\/subpaths\/v\/1$/,
  );
});

test("a mounted ConfigMap follows its object, also when it comes late", async () => {
  const optional = { name: "cm", optional: true };
  await volumes.prepare(request({ volumes: [{ name: "v", configMap: optional }] }));
  const path = join(dataDir, "memory/u1/v");
  expect(existsSync(`${path}/a`)).toBe(false);
  api.put(configMaps, { metadata: { name: "cm", namespace: "shop" }, data: { a: "1" } });
  await clock.advance(1_000);
  expect(readFileSync(`${path}/a`, "utf8")).toBe("1");
  api.put(configMaps, { metadata: { name: "cm", namespace: "shop" }, data: { a: "2" } });
  await clock.advance(1_000);
  expect(readFileSync(`${path}/a`, "utf8")).toBe("2");
});
