/** Images from a real registry with TLS and a password. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, rmSync } from "node:fs";
import { containerdGrpc } from "#agents/runtime/containerd.ts";
import { type Run, runProcess } from "#base/process.ts";
import { Writer } from "#base/proto.ts";
import { imageTar, makeImage } from "#test/support/images.ts";
import { startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { eventually, type HostRuntime, startHostRuntime } from "#test/support/runtime.ts";

setDefaultTimeout(240_000);

let host: HostRuntime;
let registry: TestRegistry;
/** First words of every program that was run: `nerdctl pull`, `sync`. */
const programs: string[] = [];

const recording: Run = (argv, options) => {
  programs.push(argv.includes("pull") ? "pull" : (argv[0] ?? ""));
  return runProcess(argv, options);
};

beforeAll(async () => {
  [host, registry] = await Promise.all([startHostRuntime("pull"), startRegistry()]);
  const tar = await imageTar({ name: "bramble.test/user:1", args: ["--user", "1000:2000"] });
  for (const name of ["team/user:1", "library/user:1", "team/other:1"]) {
    await registry.push(tar, name);
  }
});
afterAll(async () => {
  await host?.close();
  await registry?.close();
});

const runtime = () => host.another({ run: recording, hostsDirs: [registry.hostsDir] });
const auth = () => ({ username: registry.username, password: registry.password });

test("with the right password, once however many ask, on the disk before it is there", async () => {
  const name = `${registry.host}/team/user:1`;
  const node = runtime();
  programs.length = 0;
  const all = await Promise.all([1, 2, 3].map(() => node.pull(name, auth())));
  expect(programs).toEqual(["pull", "sync"]);
  expect(new Set(all.map((image) => image.id)).size).toBe(1);
  expect(all[0]).toMatchObject({ names: [name], user: "1000:2000" });
  expect(await node.inspectImage(name)).toEqual(all[0]);

  const spec = host.spec("id", { image: name });
  const { id } = await host.runtime.run(spec);
  await host.logWith(spec.logPath, "uid=1000 gid=2000");
  await host.runtime.remove([id]);
  // Credentials are gone from everywhere.
  const left = Bun.spawnSync([
    "grep",
    "-rl",
    btoa(`${auth().username}:${auth().password}`),
    host.containerd.dir,
  ]);
  expect(left.stdout.toString()).toBe("");
});

test("without a password, or with a wrong one, it says so", async () => {
  const name = `${registry.host}/team/other:1`;
  await expect(runtime().pull(name)).rejects.toThrow(/401|authorization failed|no basic auth/i);
  const wrong = { username: registry.username, password: "guess" };
  await expect(runtime().pull(name, wrong)).rejects.toMatchObject({ reason: "ErrImagePull" });
  expect(await host.runtime.inspectImage(name)).toBeUndefined();
});

test("by digest", async () => {
  const image = await runtime().pull(`${registry.host}/team/user:1`, auth());
  const digest = image.digests[0] ?? "";
  await runtime().removeImage(image.id);
  expect(await host.runtime.inspectImage(image.id)).toBeUndefined();
  const again = await runtime().pull(digest, auth());
  expect(again).toMatchObject({ id: image.id, digests: [digest] });
});

test("of an image for several architectures that of the node", async () => {
  const users = { arm64: "3003", amd64: "3004" };
  for (const [arch, user] of Object.entries(users)) {
    const args = ["--arch", arch, "--user", user];
    const tar = await imageTar({ name: `bramble.test/${arch}:1`, args });
    await registry.push(tar, `team/several:${arch}`);
  }
  // Whichever comes first in the list is not what decides.
  for (const [tag, architectures] of Object.entries({
    first: ["arm64", "amd64"],
    last: ["amd64", "arm64"],
  })) {
    await registry.index("team/several", tag, architectures);
    const name = `${registry.host}/team/several:${tag}`;
    const image = await runtime().pull(name, auth());
    const own = process.arch === "x64" ? users.amd64 : users.arm64;
    expect(image).toMatchObject({ names: expect.arrayContaining([name]), user: own });
    const spec = host.spec("id", { image: name });
    const { id } = await host.runtime.run(spec);
    await host.logWith(spec.logPath, `uid=${own}`);
    await host.runtime.remove([id]);
  }
});

test("Docker Hub's names through a mirror, with the node's own credentials", async () => {
  const registryConfig = `${host.containerd.dir}/registries.json`;
  const token = btoa(`${registry.username}:${registry.password}`);
  await Bun.write(registryConfig, JSON.stringify({ auths: { [registry.host]: { auth: token } } }));
  const node = host.another({ hostsDirs: [registry.hostsDir], registryConfig });
  // The pod's own are for Docker Hub and of no use to the mirror.
  const image = await node.pull("user:1", { username: "hub", password: "user" });
  expect(image.names).toEqual(["docker.io/library/user:1"]);
  expect(await host.runtime.inspectImage("docker.io/library/user:1")).toEqual(image);
});

test("a name that is not there", async () => {
  const pull = runtime().pull(`${registry.host}/team/none:1`, auth());
  await expect(pull).rejects.toMatchObject({ reason: "ErrImagePull" });
  await expect(pull).rejects.toThrow(/not found/);
});

test("removing an image gives its space back", async () => {
  const size = () => {
    const du = Bun.spawnSync([
      "du",
      "-s",
      `${host.containerd.root}/io.containerd.content.v1.content`,
    ]);
    return Number(du.stdout.toString().split("\t")[0]);
  };
  const file = `${host.containerd.dir}/big`;
  await Bun.write(file, crypto.getRandomValues(new Uint8Array(65536)).toHex().repeat(80));
  const tar = `${host.containerd.dir}/big.tar`;
  makeImage(tar, { name: "bramble.test/big:1", args: ["--scratch", "--file", `${file}:/big`] });
  const before = size();
  expect(await host.runtime.load(tar)).toEqual(["bramble.test/big:1"]);
  expect(size()).toBeGreaterThan(before + 5_000);
  await host.runtime.removeImage("bramble.test/big:1");
  expect(size()).toBeLessThan(before + 1_000);
});

/** An image whose one file is empty, as a cut right after its fetch leaves it; answers its tar. */
async function cutImage(name: string, path: string): Promise<string> {
  const file = `${host.containerd.dir}/payload`;
  await Bun.write(file, "payload of the image");
  const tar = `${host.containerd.dir}/cut.tar`;
  makeImage(tar, { name, args: ["--file", `${file}:/${path}`] });
  const synced = Promise.withResolvers<void>();
  const cut = host.another({
    // The power goes before the files are on the disk.
    run: (argv, options) => {
      if (argv[0] !== "sync") return runProcess(argv, options);
      synced.resolve();
      return new Promise(() => {});
    },
    bootId: async () => "before",
  });
  void cut.load(tar);
  await synced.promise;
  const [payload, ...others] = payloads(path);
  expect(others).toEqual([]);
  await Bun.write(payload ?? "", "");
  return tar;
}

function payloads(path: string): string[] {
  const cwd = `${host.containerd.root}/io.containerd.snapshotter.v1.overlayfs/snapshots`;
  return [...new Bun.Glob(`*/fs/${path}`).scanSync({ cwd, absolute: true })];
}

test("what a power cut left half on the disk is removed, and fetched again whole", async () => {
  const tar = await cutImage("bramble.test/cut:1", "payload");
  const booted = host.another({ bootId: async () => "after" });
  expect(await booted.inspectImage("bramble.test/cut:1")).toBeUndefined();
  // What had been whole before stays.
  expect(await booted.inspectImage("bramble.test/busybox:1")).toBeDefined();
  expect(payloads("payload")).toEqual([]);
  await booted.load(tar);
  const spec = host.spec("cat /payload", { image: "bramble.test/cut:1" });
  const { id } = await booted.run(spec);
  await host.logWith(spec.logPath, "payload of the image");
  await booted.remove([id]);
  expect([...new Bun.Glob("*").scanSync(`${host.containerd.dir}/nerdctl/fetching`)]).toEqual([]);
});

test("so is what a container that the cut ended stands on", async () => {
  const tar = await cutImage("bramble.test/cut:2", "second");
  // Another pod found the image before it was on the disk.
  const spec = host.spec("sleep 1000", { image: "bramble.test/cut:2" });
  const { id } = await host.runtime.run(spec);
  await host.runtime.signal(id, "SIGKILL");
  await host.event((event) => event.type === "exit" && event.containerId === id);

  const booted = host.another({ bootId: async () => "after" });
  expect(await booted.inspectImage("bramble.test/cut:2")).toBeUndefined();
  expect(payloads("second")).toEqual([]);
  await booted.load(tar);
  const again = host.spec("cat /second", { image: "bramble.test/cut:2" });
  const made = await booted.run(again);
  await host.logWith(again.logPath, "payload of the image");
  await booted.remove([made.id]);
});

test("what was half fetched when the power went is not in the way of the next try", async () => {
  const file = `${host.containerd.dir}/part`;
  await Bun.write(file, "part of an image");
  const tar = `${host.containerd.dir}/part.tar`;
  makeImage(tar, { name: "bramble.test/part:1", args: ["--file", `${file}:/part`] });
  await registry.push(tar, "team/part:1");
  const name = `${registry.host}/team/part:1`;
  const blobs = `${host.containerd.root}/io.containerd.content.v1.content/blobs/sha256`;
  const known = new Set(readdirSync(blobs));

  const cut = host.another({
    hostsDirs: [registry.hostsDir],
    run: (argv, options) =>
      argv[0] === "sync" ? new Promise(() => {}) : runProcess(argv, options),
    bootId: async () => "before",
  });
  void cut.pull(name, auth());
  const fetched = await eventually("the image", async () => {
    const added = readdirSync(blobs).filter((digest) => !known.has(digest));
    return (await cut.inspectImage(name)) && added;
  });
  // As it is where the power goes during the fetch: no image, but the lease of the fetch.
  const grpc = containerdGrpc(host.containerd.address, host.containerd.namespace);
  const call = (method: string, message: Writer) =>
    grpc.unary(`containerd.services.${method}`, message.done(), { timeoutMs: 10_000 });
  try {
    await call("leases.v1.Leases/Create", new Writer().text(1, "fetch"));
    for (const digest of fetched) {
      const resource = new Writer().text(1, `sha256:${digest}`).text(2, "content");
      const request = new Writer().text(1, "fetch").bytes(2, resource.done());
      await call("leases.v1.Leases/AddResource", request);
    }
    await call("images.v1.Images/Delete", new Writer().text(1, name).bool(2, true));
  } finally {
    grpc.close();
  }
  expect(readdirSync(blobs)).toEqual(expect.arrayContaining(fetched));
  // Not on the disk yet, while the record of it was.
  for (const digest of fetched) rmSync(`${blobs}/${digest}`);

  const booted = host.another({ hostsDirs: [registry.hostsDir], bootId: async () => "after" });
  expect((await booted.pull(name, auth())).names).toEqual([name]);
  expect(readdirSync(blobs)).toEqual(expect.arrayContaining(fetched));
  const spec = host.spec("cat /part", { image: name });
  const { id } = await booted.run(spec);
  await host.logWith(spec.logPath, "part of an image");
  await booted.remove([id]);
});
