/**
 * Reads and changes control groups: what containers and pods use, and their limits while they run.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { readFile } from "node:fs/promises";
import { type GroupLimits, type GroupWrite, limitWrites } from "#agents/runtime/cgrouplimits.ts";
import {
  type GroupStats,
  limitOf,
  parseProcessGroup,
  parseStatsV1,
  parseStatsV2,
} from "#agents/runtime/cgroupstats.ts";
import { messageOf } from "#base/errors.ts";

const FILES_V1: ReadonlyArray<{ controller: string; file: string }> = [
  { controller: "cpuacct", file: "cpuacct.usage" },
  { controller: "cpu", file: "cpu.stat" },
  { controller: "memory", file: "memory.stat" },
  { controller: "memory", file: "memory.usage_in_bytes" },
  { controller: "memory", file: "memory.limit_in_bytes" },
  { controller: "memory", file: "memory.oom_control" },
  { controller: "pids", file: "pids.current" },
];

const FILES_V2 = [
  "cpu.stat",
  "memory.stat",
  "memory.current",
  "memory.max",
  "memory.events",
  "pids.current",
];

/** Whose trees of version 1 hold limits, and which version 2 must hand down. */
const CONTROLLERS = ["cpu", "memory", "pids"] as const;

/** The kernel refused a limit: more memory is in use than it allows. */
export class ResizeError extends Error {
  override name = "ResizeError";
}

export interface ControlGroups {
  readonly version: 1 | 2;
  /** The kernel offers this controller in the tree that limits are set in. */
  has(controller: string): boolean;
  /** The kernel limits swap apart from memory, in this group and those below it: version 2 only. */
  limitsSwap(path: string): boolean;
  /** Use of a group by its path (`/kubepods/podX/ID`); undefined when it is not there. */
  stats(path: string): Promise<GroupStats | undefined>;
  /** The group of a process. */
  pathOf(pid: number): Promise<string | undefined>;
  /**
   * Changes the limits that are given. ResizeError when the kernel refuses; then nothing is
   * changed.
   */
  resize(path: string, limits: GroupLimits): Promise<void>;
  /**
   * Makes the group where it is not there, and sets its limits. ResizeError with the kernel's word
   * where it refuses.
   */
  make(path: string, limits: GroupLimits): void;
  /** Removes an empty group with its empty children; what is busy or not there is left. */
  remove(path: string): void;
}

class Groups implements ControlGroups {
  readonly version: 1 | 2;
  readonly #root: string;
  readonly #proc: string;

  constructor(root: string, proc: string) {
    this.#root = root;
    this.#proc = proc;
    this.version = existsSync(`${root}/cgroup.controllers`) ? 2 : 1;
  }

  has(controller: string): boolean {
    if (this.version === 1) return existsSync(`${this.#root}/${controller}`);
    const offered = readFileSync(`${this.#root}/cgroup.controllers`, "utf8");
    return offered.trim().split(" ").includes(controller);
  }

  limitsSwap(path: string): boolean {
    return this.version === 2 && existsSync(`${this.#root}${path}/memory.swap.max`);
  }

  #file(path: string, { controller, file }: { controller: string; file: string }): string {
    return this.version === 2
      ? `${this.#root}${path}/${file}`
      : `${this.#root}/${controller}${path}/${file}`;
  }

  async stats(path: string): Promise<GroupStats | undefined> {
    const files =
      this.version === 1 ? FILES_V1 : FILES_V2.map((file) => ({ controller: "", file }));
    const contents = new Map<string, string>();
    await Promise.all(
      files.map(async (each) => {
        // A controller may be switched off, and the root group has not all of the files.
        const text = await readFile(this.#file(path, each), "utf8").catch(() => undefined);
        if (text !== undefined) contents.set(each.file, text);
      }),
    );
    if (contents.size === 0) return undefined;
    const parse = this.version === 1 ? parseStatsV1 : parseStatsV2;
    return parse((name) => contents.get(name));
  }

  async pathOf(pid: number): Promise<string | undefined> {
    const text = await readFile(`${this.#proc}/${pid}/cgroup`, "utf8").catch(() => undefined);
    return text === undefined ? undefined : parseProcessGroup(text);
  }

  async resize(path: string, limits: GroupLimits): Promise<void> {
    const now = await this.stats(path);
    if (now === undefined) throw new ResizeError(`no control group ${path}`);
    const memory = limits.memoryLimitBytes;
    // Version 2 would kill to get below the limit, where version 1 refuses.
    if (
      typeof memory === "number" &&
      memory < now.memoryUsageBytes &&
      memory < now.workingSetBytes
    ) {
      const [limit, used] = [`(${memory})`, `(${now.workingSetBytes})`];
      throw new ResizeError(
        `attempting to set container memory limit ${limit} below current usage ${used}`,
      );
    }
    this.#apply(path, limitWrites(this.version, limits, now));
  }

  /** In memory of the kernel: nothing of it waits for a disk. */
  #apply(path: string, writes: readonly GroupWrite[]): void {
    for (const write of writes) {
      // The kernel may lack a controller, and without accounting of swap there is none to limit.
      if (!existsSync(this.#file(path, write)) && this.#isOptional(write)) continue;
      try {
        writeFileSync(this.#file(path, write), write.value);
      } catch (error) {
        const text = `control group: ${write.value} to ${write.file} of ${path}`;
        throw new ResizeError(`${text}: ${messageOf(error)}`, { cause: error });
      }
    }
  }

  #isOptional({ controller, file }: GroupWrite): boolean {
    if (file.startsWith("memory.memsw")) return true;
    return this.version === 1 && !existsSync(`${this.#root}/${controller}`);
  }

  make(path: string, limits: GroupLimits): void {
    if (this.version === 2) this.#makeUnified(path);
    else {
      for (const controller of CONTROLLERS) {
        const tree = `${this.#root}/${controller}`;
        if (existsSync(tree)) mkdirSync(`${tree}${path}`, { recursive: true });
      }
    }
    const before = this.#file(path, { controller: "memory", file: "memory.limit_in_bytes" });
    const memoryLimitBytes = existsSync(before) ? limitOf(readFileSync(before, "utf8")) : undefined;
    this.#apply(path, limitWrites(this.version, limits, { memoryLimitBytes }));
  }

  /** Each folder on the way must hand its controllers down. */
  #makeUnified(path: string): void {
    mkdirSync(`${this.#root}${path}`, { recursive: true });
    let current = this.#root;
    for (const part of path.split("/").filter(Boolean)) {
      for (const controller of CONTROLLERS) {
        try {
          writeFileSync(`${current}/cgroup.subtree_control`, `+${controller}`);
        } catch {
          // Not offered to this tree: a limit of it is refused by name.
        }
      }
      current = `${current}/${part}`;
    }
  }

  remove(path: string): void {
    const bases =
      this.version === 2
        ? [this.#root]
        : readdirSync(this.#root).map((name) => `${this.#root}/${name}`);
    for (const base of bases) {
      const directory = `${base}${path}`;
      try {
        for (const child of readdirSync(directory, { withFileTypes: true })) {
          if (child.isDirectory()) rmdirSync(`${directory}/${child.name}`);
        }
        rmdirSync(directory);
      } catch {
        // Not there, or still busy: the kernel keeps an empty directory at most.
      }
    }
  }
}

export function createControlGroups(root = "/sys/fs/cgroup", proc = "/proc"): ControlGroups {
  return new Groups(root, proc);
}
