/**
 * Looks now and then at what the node has left: tells pressure, evicts, and removes images that
 * nobody uses when the disk fills.
 */
import { readFile, statfs } from "node:fs/promises";
import type { PodWork } from "#agents/kubelet/context.ts";
import { bytesBelow } from "#agents/kubelet/diskuse.ts";
import {
  needsOf,
  overStorage,
  type PodUse,
  PRESSURE_HOLD_MS,
  type Pressure,
  type StorageUse,
  type Supply,
  victimFor,
} from "#agents/kubelet/eviction.ts";
import type { Images } from "#agents/kubelet/images.ts";
import type { NodeKeeper } from "#agents/kubelet/node.ts";
import { isRunning, specOf } from "#agents/kubelet/pod.ts";
import { cgroupParent } from "#agents/kubelet/qos.ts";
import type { Room } from "#agents/kubelet/room.ts";
import type { Runtime } from "#agents/runtime/runtime.ts";
import type { ControlGroups } from "#agents/runtime/stats.ts";
import { type Clock, sleep } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import { quantityValue } from "#resources/quantity.ts";

export interface HousekeeperOptions {
  workers: ReadonlyMap<string, PodWork>;
  node: NodeKeeper;
  room: Room;
  runtime: Runtime;
  groups: ControlGroups;
  images: Images;
  clock: Clock;
  log: Log;
  dataDir: string;
  cgroupRoot: string;
  /** What is left; tests say it. */
  supply?: () => Promise<Supply>;
}

async function linesOf(path: string): Promise<Map<string, number>> {
  const text = await readFile(path, "utf8");
  const pairs = text.split("\n").map((line) => line.split(/:?\s+/, 2));
  return new Map(pairs.map(([name = "", value]) => [name, Number(value)]));
}

async function numberIn(path: string): Promise<number> {
  return Number((await readFile(path, "utf8").catch(() => "0")).trim());
}

/** Of this machine. */
export async function machineSupply(dataDir: string): Promise<Supply> {
  const [memory, disk, pidsMax, load] = await Promise.all([
    linesOf("/proc/meminfo"),
    statfs(dataDir),
    numberIn("/proc/sys/kernel/pid_max"),
    readFile("/proc/loadavg", "utf8"),
  ]);
  const kib = (name: string) => (memory.get(name) ?? 0) * 1024;
  const tasks = Number(/\/(\d+) /.exec(load)?.[1] ?? 0);
  return {
    memoryBytes: kib("MemFree") + kib("Inactive(file)"),
    memoryCapacityBytes: kib("MemTotal"),
    diskBytes: disk.bavail * disk.bsize,
    diskCapacityBytes: disk.blocks * disk.bsize,
    inodes: disk.ffree,
    inodesCapacity: disk.files,
    pids: pidsMax - tasks,
    pidsCapacity: pidsMax,
  };
}

export class Housekeeper {
  readonly #options: HousekeeperOptions;
  readonly #stop = new AbortController();
  /** Since when each need is over; a need that holds has none. */
  readonly #seenMs = new Map<keyof Pressure, number>();
  looking = false;
  pressure: Pressure = { memory: false, disk: false, pid: false };
  /** When each unused image was last in use, or first seen. */
  readonly #usedMs = new Map<string, number>();
  #storageMs = Number.NEGATIVE_INFINITY;
  #imagesMs = Number.NEGATIVE_INFINITY;

  constructor(options: HousekeeperOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#run();
  }

  stop(): void {
    this.#stop.abort();
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await sleep(clock, limits.pressureLookMs, signal);
      if (signal.aborted) return;
      this.looking = true;
      try {
        await this.look();
      } catch (error) {
        log.warn("the node was not looked after", { error: messageOf(error) });
      }
      this.looking = false;
    }
  }

  /**
   * One look: at most one pod is evicted for pressure, as the next look shows whether it helped.
   */
  async look(): Promise<void> {
    const { clock, node, dataDir, room, images } = this.#options;
    room.lookForDevices();
    // Its address may have changed: it is told only where it has.
    void node.report();
    await images.preload();
    const supply = await (this.#options.supply?.() ?? machineSupply(dataDir));
    const needs = needsOf(supply);
    this.#tell(new Set(needs.map(({ kind }) => kind)));
    const nowMs = clock.monotonic();
    if (nowMs - this.#storageMs >= limits.storageLookMs) {
      this.#storageMs = nowMs;
      await this.#enforceStorage();
    }
    const full = 1 - supply.diskBytes / supply.diskCapacityBytes;
    const diskNeed = needs.some(({ kind }) => kind === "disk");
    if (
      diskNeed ||
      (full > limits.imageDiskShareMax && nowMs - this.#imagesMs >= limits.imageGcMs)
    ) {
      this.#imagesMs = nowMs;
      if ((await this.#removeImages(supply)) && diskNeed) return;
    }
    const [need] = needs;
    if (need === undefined) return;
    const victim = victimFor(need, await this.#uses());
    const uid = victim?.pod.metadata?.uid ?? "";
    if (victim !== undefined) this.#options.workers.get(uid)?.judge(victim.verdict);
    node.setPressure(this.pressure);
  }

  #tell(needs: ReadonlySet<keyof Pressure>): void {
    const nowMs = this.#options.clock.monotonic();
    for (const kind of needs) this.#seenMs.set(kind, nowMs);
    const holds = (kind: keyof Pressure) =>
      nowMs - (this.#seenMs.get(kind) ?? Number.NEGATIVE_INFINITY) < PRESSURE_HOLD_MS;
    const next = { memory: holds("memory"), disk: holds("disk"), pid: holds("pid") };
    if (Bun.deepEquals(next, this.pressure)) return;
    this.pressure = next;
    this.#options.node.setPressure(next);
  }

  #running(): PodWork[] {
    return [...this.#options.workers.values()].filter(
      ({ record }) => record.verdict === undefined && !record.cleaned,
    );
  }

  async #uses(): Promise<PodUse[]> {
    const { cgroupRoot, groups } = this.#options;
    return Promise.all(
      this.#running().map(async (worker) => {
        const path = cgroupParent(cgroupRoot, specOf(worker.pod), worker.uid);
        const usage = await groups.stats(path);
        const directory = worker.context.records.directory(worker.uid);
        return {
          pod: worker.pod,
          memoryBytes: usage?.workingSetBytes ?? 0,
          diskBytes: await bytesBelow(directory),
          pids: usage?.pids ?? 0,
        };
      }),
    );
  }

  /** Pods with limits of local storage, which no kernel counts for us. */
  async #enforceStorage(): Promise<void> {
    const limited = this.#running().filter(({ pod }) => {
      const spec = specOf(pod);
      return (
        spec.volumes?.some(({ emptyDir }) => emptyDir?.sizeLimit !== undefined) ||
        spec.containers.some(({ resources }) => resources?.limits?.["ephemeral-storage"])
      );
    });
    if (limited.length === 0) return;
    const containers = await this.#options.runtime.list();
    const pids = new Map(containers.map(({ id, pid }) => [id, pid]));
    for (const worker of limited) {
      const verdict = overStorage(worker.pod, await storageOf(worker, pids), quantityValue);
      if (verdict !== undefined) worker.judge(verdict);
    }
  }

  /**
   * Images that no pod uses, the longest unused first, until the disk is emptier. True: some went.
   */
  async #removeImages(supply: Supply): Promise<boolean> {
    const { runtime, images, clock, log } = this.#options;
    const nowMs = clock.monotonic();
    const used = new Set(
      this.#running().flatMap(({ record }) =>
        Object.values(record.containers).flatMap(({ current }) => current?.imageId ?? []),
      ),
    );
    for (const { pod } of this.#running()) {
      for (const { image } of specOf(pod).volumes ?? []) {
        const found = image?.reference && (await images.find(image.reference));
        if (found) used.add(found.id);
      }
    }
    const all = await runtime.images();
    const unused = all.filter(
      ({ digests, id }) => ![id, ...digests].some((name) => used.has(name)),
    );
    for (const { id } of all) {
      if (!unused.some((image) => image.id === id)) this.#usedMs.set(id, nowMs);
      else if (!this.#usedMs.has(id)) this.#usedMs.set(id, nowMs);
    }
    const since = (id: string) => this.#usedMs.get(id) ?? nowMs;
    let missing = supply.diskCapacityBytes * (1 - limits.imageDiskShareMin) - supply.diskBytes;
    let removed = false;
    for (const image of unused.sort((a, b) => since(a.id) - since(b.id))) {
      if (missing <= 0) break;
      if (nowMs - since(image.id) < limits.imageAgeMsMin) continue;
      await runtime.removeImage(image.id);
      log.info("unused image removed", { image: image.names[0] ?? image.id });
      this.#usedMs.delete(image.id);
      missing -= image.sizeBytes;
      removed = true;
    }
    if (removed) images.forget();
    return removed;
  }
}

/** The folder that takes what a container writes to its own files. */
async function upperOf(pid: number | undefined): Promise<string | undefined> {
  if (pid === undefined) return undefined;
  const table = await readFile(`/proc/${pid}/mountinfo`, "utf8").catch(() => "");
  return /upperdir=([^,\s]+)/.exec(table.split("\n", 1)[0] ?? "")?.[1];
}

async function storageOf(
  worker: PodWork,
  pids: ReadonlyMap<string, number | undefined>,
): Promise<StorageUse> {
  const directory = worker.context.records.directory(worker.uid);
  const volumes: Record<string, number> = {};
  for (const { name, emptyDir } of specOf(worker.pod).volumes ?? []) {
    if (emptyDir === undefined || emptyDir.medium === "Memory") continue;
    volumes[name] = await bytesBelow(`${directory}/volumes/${name}`);
  }
  const containers: Record<string, number> = {};
  for (const [name, { current }] of Object.entries(worker.record.containers)) {
    if (!isRunning(current)) continue;
    const upper = await upperOf(pids.get(current.id));
    const written = upper === undefined ? 0 : await bytesBelow(upper);
    containers[name] = written + (await bytesBelow(`${directory}/logs/${name}`));
  }
  return { volumes, containers };
}
