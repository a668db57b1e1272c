/**
 * The machine that a measurement takes for itself: the ranges of addresses, bridges and names that
 * measurements use are the same in each, so that there is one at a time, and what a killed one left
 * goes first. A node is removed by the product's own `bramble delete`.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realClock, sleep } from "#base/clock.ts";
import { endProcess, owned } from "#test/bench/ends.ts";
import { processesWith } from "#test/bench/process.ts";
import { tidy } from "#test/bench/programs.ts";
import { type PrivateContainerd, startContainerd } from "#test/support/containerd.ts";

/** Abstract: of this network namespace, as the addresses are, and gone with its process. */
const LOCK = "bramble-bench";
const PREFIX = "bramble-bench-";
const LEFT_MS_MAX = 10_000;
const LEFT_LOOK_MS = 50;

/** A new folder; who made it is in its name. */
export const benchDir = (name: string): string =>
  mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-${name}-`));

/** Until this process ends. @throws where another has it. */
export function lock(name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const holder = createServer();
    holder.once("error", (cause) => {
      reject(new Error("another measurement has the pods' ranges of this machine", { cause }));
    });
    holder.listen({ path: `\0${name}` }, () => {
      holder.unref();
      resolve();
    });
  });
}

/** Folders of measurements that were killed. */
function leftDirs(): string[] {
  const found = new Bun.Glob(`${PREFIX}*`).scanSync({ cwd: tmpdir(), onlyFiles: false });
  return [...found].flatMap((name) => {
    const owner = /^bramble-bench-(\d+)-[^.]+$/.exec(name)?.[1];
    return owner === undefined || existsSync(`/proc/${owner}`) ? [] : [join(tmpdir(), name)];
  });
}

/** Their processes, and what those start meanwhile. */
async function stopLeft(): Promise<void> {
  const end = performance.now() + LEFT_MS_MAX;
  for (;;) {
    const pids = leftDirs().flatMap((dir) => processesWith(dir));
    if (pids.length === 0) return;
    if (performance.now() > end) throw new Error("processes of a killed measurement do not end");
    for (const pid of pids) killQuietly(pid);
    await sleep(realClock, LEFT_LOOK_MS);
  }
}

let taken: Promise<void> | undefined;

/** Until this process ends. @throws where another measurement runs. */
export function takeMachine(): Promise<void> {
  taken ??= lock(LOCK).then(stopLeft);
  return taken;
}

export interface BenchNode {
  readonly binary: string;
  readonly dataDir: string;
  readonly containerd: PrivateContainerd;
}

async function deleteNode({ binary, dataDir, containerd }: BenchNode): Promise<void> {
  const argv = [binary, "delete", "--data-dir", dataDir];
  try {
    await tidy(argv);
  } catch {
    // Only a containerd that answers can say what its containers are.
    await containerd.kill();
    await containerd.start();
    await tidy(argv);
  }
}

/** Ends a node's process, and takes away what it made on the machine and its folder. */
export async function endNode(node: BenchNode, child: Bun.Subprocess): Promise<void> {
  await endProcess(child);
  if (existsSync(`${node.dataDir}/instance.json`)) await deleteNode(node);
  forget(node.dataDir);
}

export function forget(dir: string): void {
  rmSync(dir, { recursive: true, force: true });
  rmSync(`${dir}.log`, { force: true });
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}

/** The node of a killed measurement: its containers went with its containerd. */
async function sweepNode(node: BenchNode): Promise<void> {
  const path = `${node.dataDir}/instance.json`;
  if (!existsSync(path)) return;
  const saved = JSON.parse(readFileSync(path, "utf8")) as object;
  const { address, namespace } = node.containerd;
  const here = { containerdAddress: address, containerdNamespace: namespace };
  writeFileSync(path, JSON.stringify({ ...saved, ...here }));
  await deleteNode(node);
}

async function sweep(binary: string, containerd: PrivateContainerd): Promise<void> {
  for (const dataDir of leftDirs()) {
    console.error(`… a killed measurement left ${dataDir}`);
    await sweepNode({ binary, dataDir, containerd });
    forget(dataDir);
  }
}

/** The machine, and a containerd on it, which signals to a group of processes do not reach. */
export async function openContainerd(binary: string): Promise<PrivateContainerd> {
  await takeMachine();
  const open = () => startContainerd("bench", { detached: true });
  const [containerd] = await owned(open, (each) => each.close());
  await sweep(binary, containerd);
  return containerd;
}
