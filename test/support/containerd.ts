/**
 * A containerd of the test's own: root, state and socket in a temporary directory, no CRI plugin.
 * What was started in it is ended with it, also when the test failed.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { containerdGrpc } from "#agents/runtime/containerd.ts";
import { realClock, sleep } from "#base/clock.ts";

export interface PrivateContainerd {
  /** Everything of this instance lies under it. */
  dir: string;
  address: string;
  namespace: string;
  /** containerd's own root, on the disk of the temporary directory. */
  root: string;
  pid(): number;
  /** SIGKILL, as a crash; shims and containers go on. */
  kill(): Promise<void>;
  /** As a power cut: everything ends at once, and what lies under /run is gone. */
  crash(): Promise<void>;
  /** Starts it again after `kill` or `crash`. */
  start(): Promise<void>;
  /** Ends containers, shims and containerd, unmounts and removes everything. Idempotent. */
  close(): Promise<void>;
}

const READY_MS_MAX = 60_000;

function config(dir: string): string {
  return `version = 2
root = "${dir}/root"
state = "${dir}/state"
oom_score = 0
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "${dir}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "${dir}/opt"
`;
}

async function ready(address: string): Promise<void> {
  const grpc = containerdGrpc(address, "default");
  const end = performance.now() + READY_MS_MAX;
  try {
    for (;;) {
      try {
        await grpc.unary("containerd.services.version.v1.Version/Version", new Uint8Array(), {
          timeoutMs: 1000,
        });
        return;
      } catch (error) {
        if (performance.now() > end) throw error;
        await sleep(realClock, 20);
      }
    }
  } finally {
    grpc.close();
  }
}

/** Processes whose command line has all of these words. */
async function processesWith(...words: string[]): Promise<number[]> {
  const found: number[] = [];
  for (const name of new Bun.Glob("[0-9]*").scanSync({ cwd: "/proc", onlyFiles: false })) {
    const line = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    if (words.every((word) => line.includes(word))) found.push(Number(name));
  }
  return found;
}

/** The shims of this instance: their command line names its socket. */
function shims(address: string): Promise<number[]> {
  return processesWith("containerd-shim", address);
}

async function mountsUnder(dir: string): Promise<string[]> {
  const lines = (await readFile("/proc/self/mountinfo", "utf8")).split("\n");
  return lines
    .map((line) => line.split(" ")[4] ?? "")
    .filter((target) => target.startsWith(`${dir}/`))
    .reverse();
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  return text.split(" ").filter(Boolean).map(Number);
}

async function endAll(dir: string, address: string): Promise<void> {
  for (const shim of await shims(address)) {
    const children = await childrenOf(shim);
    killQuietly(shim);
    for (const child of children) killQuietly(child);
  }
  for (let round = 0; round < 50; round++) {
    const mounts = await mountsUnder(dir);
    if (mounts.length === 0 && (await shims(address)).length === 0) break;
    for (const mount of mounts) Bun.spawnSync(["umount", "-l", mount]);
    await sleep(realClock, 20);
  }
}

/** Takes away what test runs left that were killed themselves: their process id is in the name. */
async function sweep(): Promise<void> {
  for (const name of new Bun.Glob("bramble-ctd-*").scanSync({ cwd: tmpdir(), onlyFiles: false })) {
    const owner = /^bramble-ctd-(\d+)-/.exec(name)?.[1];
    if (owner === undefined || existsSync(`/proc/${owner}`)) continue;
    const dir = join(tmpdir(), name);
    for (const pid of await processesWith("containerd", `${dir}/config.toml`)) killQuietly(pid);
    await endAll(dir, `${dir}/containerd.sock`);
    await rm(dir, { recursive: true, force: true });
  }
}

/**
 * Starts one and waits until it answers. `detached`: signals to the group of this process do not
 * reach it, for whoever needs it to clean up after them.
 */
export async function startContainerd(
  name = "host",
  { detached = false } = {},
): Promise<PrivateContainerd> {
  if (Bun.which("containerd") === null) throw new Error("containerd is missing");
  await sweep();
  const dir = await mkdtemp(join(tmpdir(), `bramble-ctd-${process.pid}-${name}-`));
  const address = `${dir}/containerd.sock`;
  await mkdir(`${dir}/opt`);
  await writeFile(`${dir}/config.toml`, config(dir));
  let child: Bun.Subprocess | undefined;
  const start = async () => {
    child = Bun.spawn(["containerd", "--config", `${dir}/config.toml`, "--log-level", "warn"], {
      stdin: "ignore",
      detached,
      // As it is now: a test may have put programs into PATH.
      env: { ...process.env },
      stdout: Bun.file(`${dir}/containerd.log`),
      stderr: Bun.file(`${dir}/containerd.log`),
    });
    await ready(address);
  };
  const kill = async () => {
    child?.kill("SIGKILL");
    await child?.exited;
    child = undefined;
  };
  const crash = async () => {
    await kill();
    await endAll(dir, address);
    await rm(`${dir}/state`, { recursive: true, force: true });
  };
  const remove = async () => {
    await kill();
    await endAll(dir, address);
    await rm(dir, { recursive: true, force: true });
  };
  let closed: Promise<void> | undefined;
  // Two that remove the same folder at once leave a part of it.
  const close = () => {
    closed ??= remove();
    return closed;
  };
  try {
    await start();
  } catch (error) {
    const log = await readFile(`${dir}/containerd.log`, "utf8").catch(() => "");
    await close();
    throw new Error(`containerd did not start: ${log}`, { cause: error });
  }
  const pid = () => child?.pid ?? 0;
  const root = `${dir}/root`;
  return { dir, address, namespace: "bramble", root, pid, kill, crash, start, close };
}
