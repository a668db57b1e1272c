/**
 * The program for 64-bit ARM: it starts and serves, run by qemu on this machine, and is laid out
 * for memory pages of 16 KB, which a Raspberry Pi 5 has (Debian's ARM kernels: 4 KB, some 64 KB).
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually, freePlace, freePort, mustRun } from "#test/support/instance.ts";
import { BRAMBLE } from "#test/support/lab.ts";

const ROOT = join(import.meta.dir, "../..");
const ARM64 = join(ROOT, "dist/bramble-arm64");
/** Where libc6-arm64-cross puts ARM's C library. */
const SYSROOT = "/usr/aarch64-linux-gnu";
const READY_MS_MAX = 90_000;

let dir: string;
let server: Bun.Subprocess | undefined;

beforeAll(async () => {
  if (Bun.which("qemu-aarch64-static") === null) throw new Error("qemu-user-static is missing");
  if (!existsSync(SYSROOT)) throw new Error("libc6-arm64-cross is missing");
  const build = ["bun", "tools/build.ts", ARM64, "bun-linux-arm64"];
  await mustRun(["env", "--chdir", ROOT, ...build], { timeoutMs: READY_MS_MAX });
  dir = mkdtempSync(join(tmpdir(), "bramble-arm64-"));
}, READY_MS_MAX);

afterAll(async () => {
  server?.kill("SIGKILL");
  await server?.exited;
  rmSync(dir, { recursive: true, force: true });
});

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

test(
  "it serves the API, and its controllers work",
  async () => {
    const port = await freePort();
    const place = await freePlace();
    const dataDir = join(dir, "data");
    const child = Bun.spawn(
      [
        ...["qemu-aarch64-static", "-L", SYSROOT, ARM64, "server", "--no-agent"],
        ...["--data-dir", dataDir, "--https-port", String(port), "--disable", "discovery"],
        ...["--cluster-cidr", place.clusterCidr, "--service-cidr", place.serviceCidr],
        ...["--cluster-dns", place.clusterDns, "--bind-address", "127.0.0.1"],
      ],
      { stdin: "ignore", stdout: Bun.file(join(dir, "out")), stderr: Bun.file(join(dir, "log")) },
    );
    server = child;
    const kubeconfig = join(dataDir, "kubeconfig");
    await eventually("it is ready", READY_MS_MAX, async () => {
      if (child.exitCode !== null) throw new Error(readFileSync(join(dir, "log"), "utf8"));
      const url = `https://127.0.0.1:${port}/readyz`;
      const { ok } = await fetch(url, { tls: { rejectUnauthorized: false } });
      return ok && existsSync(kubeconfig);
    });
    const bramble = (...argv: string[]) => mustRun([BRAMBLE, ...argv, "--kubeconfig", kubeconfig]);
    const manifest = join(ROOT, "install/demo.yaml");
    const text = (await Bun.file(manifest).text()).replace("NODE_PORT", String(place.nodePort));
    await Bun.write(join(dir, "web.yaml"), text);
    await bramble("apply", "-f", join(dir, "web.yaml"));
    await eventually("three pods are made", READY_MS_MAX, async () => {
      const pods = await bramble("get", "pods", "-o", "name");
      return pods.match(/pod\/web-/g)?.length === 3;
    });
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  },
  2 * READY_MS_MAX,
);
