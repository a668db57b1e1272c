/**
 * The program for 64-bit ARM: it starts and serves, run by qemu on this machine, is installed on a
 * Debian for such boards and leaves nothing there, and is laid out for memory pages of 16 KB, which
 * a Raspberry Pi 5 has (Debian's ARM kernels: 4 KB, some 64 KB).
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Board, startBoard } from "#test/support/arm64.ts";
import { healthy } from "#test/support/etcd.ts";
import { SYSROOT } from "#test/support/foreign.ts";
import { eventually, freePlace, freePort, mustRun, run } from "#test/support/instance.ts";
import { BRAMBLE } from "#test/support/lab.ts";
import pkg from "../../package.json";
import { differences, stateOf } from "./machine.ts";

const ROOT = join(import.meta.dir, "../..");
const ARM64 = join(ROOT, "dist/bramble-arm64");
const QEMU = ["qemu-aarch64-static", "-L", SYSROOT];
const READY_MS_MAX = 90_000;
/** nerdctl is built for it, and packages are fetched. */
const BUNDLE_MS_MAX = 600_000;
/** With the time in which its Debian is made for the first time. */
const BOARD_MS_MAX = 1_200_000;

let dir: string;
let board: Board | undefined;
const children: Bun.Subprocess[] = [];

beforeAll(async () => {
  if (Bun.which("qemu-aarch64-static") === null) throw new Error("qemu-user-static is missing");
  if (!existsSync(SYSROOT)) throw new Error("libc6-arm64-cross is missing");
  const build = ["bun", "tools/build.ts", ARM64, "bun-linux-arm64"];
  await mustRun(["env", "--chdir", ROOT, ...build], { timeoutMs: READY_MS_MAX });
  dir = mkdtempSync(join(tmpdir(), "bramble-arm64-"));
}, READY_MS_MAX);

afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(children.map((child) => child.exited));
  await board?.close();
  rmSync(dir, { recursive: true, force: true });
});

const EM_AARCH64 = 183;

/** Programs among these files, and the machine that each is for (elf(5)). */
function machines(folder: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!statSync(join(folder, name)).isFile()) continue;
    const bytes = readFileSync(join(folder, name)).subarray(0, 20);
    if (bytes.subarray(0, 4).toString("latin1") === "\x7fELF") {
      found.set(name, bytes.readUInt16LE(18));
    }
  }
  return found;
}

/** Alignments of an ELF file's parts that are loaded (elf(5), 64 bits, little endian). */
function alignments(path: string): number[] {
  const bytes = Buffer.alloc(4096);
  readSync(openSync(path, "r"), bytes, 0, bytes.length, 0);
  const PT_LOAD = 1;
  const table = Number(bytes.readBigUInt64LE(32));
  const size = bytes.readUInt16LE(54);
  return Array.from({ length: bytes.readUInt16LE(56) }, (_, i) => table + i * size)
    .filter((at) => bytes.readUInt32LE(at) === PT_LOAD)
    .map((at) => Number(bytes.readBigUInt64LE(at + 48)));
}

test("its parts can be loaded with pages of 4, 16 and 64 KB", () => {
  const found = alignments(ARM64);
  expect(found.length).toBeGreaterThan(1);
  for (const alignment of found) expect(alignment % (64 * 1024)).toBe(0);
});

/** An image for such boards; its programs are this machine's, for nothing runs it. */
async function armImage(path: string): Promise<void> {
  mkdirSync(join(dir, "as-arm"));
  writeFileSync(join(dir, "as-arm/uname"), "#!/bin/sh\necho aarch64\n", { mode: 0o755 });
  const env = { PATH: `${join(dir, "as-arm")}:${process.env["PATH"]}` };
  await mustRun([join(ROOT, "install/web-image.sh"), path], { env });
}

async function makeBundle(to: string): Promise<void> {
  const archive = join(dir, "bundle.tar.gz");
  const image = join(dir, "web.tar");
  await armImage(image);
  const flags = ["--arch", "arm64", "--etcd", "--out", archive, "--image", image];
  await mustRun([join(ROOT, "install/bundle.sh"), ...flags], { timeoutMs: BUNDLE_MS_MAX });
  mkdirSync(to);
  await mustRun(["tar", "-xzf", archive, "-C", to, "--strip-components=1"]);
}

test(
  "a bundle for such boards has their programs and packages, and they start",
  async () => {
    const to = join(dir, "bundle");
    await makeBundle(to);
    await mustRun(["sh", "-c", `cd ${to} && sha256sum --check --quiet SHA256SUMS`]);
    const plugins = ["cni/bridge", "cni/host-local", "cni/loopback"];
    const programs = ["bramble", "nerdctl", ...plugins, "etcd/etcd", "etcd/etcdctl"];
    expect(Object.fromEntries(machines(to))).toEqual(
      Object.fromEntries(programs.map((name) => [name, EM_AARCH64])),
    );
    for (const name of ["install.sh", "uninstall.sh", "bramble.service", "images/web.tar"]) {
      expect(existsSync(join(to, name)), name).toBe(true);
    }
    const debs = readdirSync(join(to, "debs"));
    expect(debs.map((name) => name.split("_", 1)[0])).toContain("containerd");
    for (const name of debs) {
      const field = ["dpkg-deb", "--field", join(to, "debs", name), "Architecture"];
      expect(["arm64\n", "all\n"]).toContain(await mustRun(field));
    }
    // The one of two bundles that is not this machine's; `--dry-run` in case it is not refused.
    const wrong = await run([join(to, "install.sh"), "--agent", "--dry-run"]);
    expect(wrong.stderr).toBe(
      "install.sh: this bundle is for arm64, and this machine is amd64: " +
        "bring one of bundle.sh --arch amd64\n",
    );
    expect(wrong).toMatchObject({ exitCode: 1, stdout: "" });
    expect(await mustRun([...QEMU, join(to, "bramble"), "--version"])).toContain(pkg.version);
    expect(await mustRun([...QEMU, join(to, "nerdctl"), "--version"])).toContain("nerdctl version");
    const env = { CNI_COMMAND: "VERSION" };
    const said = await mustRun([...QEMU, join(to, "cni/bridge")], { env, stdin: "{}" });
    expect(said).toContain("supportedVersions");
  },
  BUNDLE_MS_MAX,
);

/**
 * All that an installation does but pods: under qemu the first process that runc makes dies
 * ("waiting for init preliminary setup"). Multicast is refused, too (setsockopt), so nothing is
 * announced.
 */
test(
  "from the bundle a board becomes a Ready node, a second run changes nothing, and nothing is left",
  async () => {
    board = await startBoard(join(dir, "board"));
    await mustRun(["cp", "-a", join(dir, "bundle"), join(board.disk, "root/bundle")]);
    expect(await board.must("uname -m")).toBe("aarch64\n");
    const before = await stateOf(board);
    const first = await board.must("/root/bundle/install.sh --server");
    for (const what of ["install containerd ", "write /usr/local/bin/bramble", "start bramble"]) {
      expect(first).toContain(`==> ${what}`);
    }
    expect(first).toContain("==> load the images of web.tar\n");
    const nodes = await board.must(
      "KUBECONFIG=/var/lib/bramble/kubeconfig bramble get nodes -o json",
    );
    const [{ metadata, status }] = JSON.parse(nodes).items;
    expect(metadata.labels["kubernetes.io/arch"]).toBe("arm64");
    expect(status.conditions).toContainEqual(
      expect.objectContaining({ type: "Ready", status: "True" }),
    );
    expect(await board.must("/root/bundle/install.sh")).not.toContain("==>");
    const doctor = await board.must("bramble doctor --config /etc/bramble/config.yaml");
    for (const check of ["iptables: iptables v", "containerd: 1.", "nerdctl: 2.", "conntrack: "]) {
      expect(doctor).toContain(`ok    ${check}`);
    }
    expect(doctor).not.toContain("FAIL");
    await board.must("/usr/local/lib/bramble/uninstall.sh");
    expect(differences(before, await stateOf(board))).toEqual([]);
  },
  BOARD_MS_MAX,
);

/** Serves the API until its controllers have made pods; `name`: of its files. */
async function serves(name: string, flags: readonly string[]): Promise<void> {
  const port = await freePort();
  const place = await freePlace();
  const files = join(dir, name);
  const dataDir = join(files, "data");
  mkdirSync(files);
  const child = Bun.spawn(
    [
      ...[...QEMU, ARM64, "server", "--no-agent", ...flags],
      ...["--data-dir", dataDir, "--https-port", String(port), "--disable", "discovery"],
      ...["--cluster-cidr", place.clusterCidr, "--service-cidr", place.serviceCidr],
      ...["--cluster-dns", place.clusterDns, "--bind-address", "127.0.0.1"],
    ],
    { stdin: "ignore", stdout: Bun.file(join(files, "out")), stderr: Bun.file(join(files, "log")) },
  );
  children.push(child);
  const kubeconfig = join(dataDir, "kubeconfig");
  await eventually("it is ready", READY_MS_MAX, async () => {
    if (child.exitCode !== null) throw new Error(readFileSync(join(files, "log"), "utf8"));
    const url = `https://127.0.0.1:${port}/readyz`;
    const { ok } = await fetch(url, { tls: { rejectUnauthorized: false } });
    return ok && existsSync(kubeconfig);
  });
  const bramble = (...argv: string[]) => mustRun([BRAMBLE, ...argv, "--kubeconfig", kubeconfig]);
  const manifest = join(ROOT, "install/demo.yaml");
  const text = (await Bun.file(manifest).text()).replace("NODE_PORT", String(place.nodePort));
  await Bun.write(join(files, "web.yaml"), text);
  await bramble("apply", "-f", join(files, "web.yaml"));
  await eventually("three pods are made", READY_MS_MAX, async () => {
    const pods = await bramble("get", "pods", "-o", "name");
    return pods.match(/pod\/web-/g)?.length === 3;
  });
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
}

test("it serves the API, and its controllers work", () => serves("sqlite", []), 2 * READY_MS_MAX);

test(
  "so it does on the etcd of the bundle",
  async () => {
    const [client, peer] = [await freePort(), await freePort()];
    const [url, peers] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
    const argv = [
      ...[...QEMU, join(dir, "bundle/etcd/etcd"), "--data-dir", join(dir, "etcd")],
      ...["--listen-client-urls", url, "--advertise-client-urls", url],
      ...["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers],
      ...["--initial-cluster", `default=${peers}`],
    ];
    // As the installer's settings say: without it Debian's warns, and upstream's 3.4 ends.
    const env = { ...process.env, ETCD_UNSUPPORTED_ARCH: "arm64" };
    const log = Bun.file(join(dir, "etcd.log"));
    children.push(Bun.spawn(argv, { env, stdin: "ignore", stdout: log, stderr: log }));
    await eventually("etcd is healthy", READY_MS_MAX, () => healthy(url));
    await serves("on-etcd", ["--datastore", `etcd=${url}`]);
    const ctl = [...QEMU, join(dir, "bundle/etcd/etcdctl"), "--endpoints", url];
    const keys = ["get", "--prefix", "/bramble/apps/deployments/", "--keys-only"];
    expect(await mustRun([...ctl, ...keys], { env: { ETCDCTL_API: "3" } })).toContain("/web");
  },
  3 * READY_MS_MAX,
);
