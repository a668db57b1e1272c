/**
 * Volumes on this node's disk: the folder of each, and what holds its size. Nothing outside of the
 * node's own folder is ever made or removed, whatever a PersistentVolume says.
 */
import { access, chmod, mkdir, readdir, rename, rm, rmdir, stat, truncate } from "node:fs/promises";
import { Mounts } from "#agents/volumes/mounts.ts";
import { must } from "#base/assert.ts";
import { limits } from "#base/limits.ts";
import type { Run } from "#base/process.ts";
import { sizeLimitOf } from "#resources/localvolume.ts";
import type { Stored } from "#resources/meta.ts";
import { quantityValue } from "#resources/quantity.ts";
import type { PersistentVolume } from "#resources/types.gen.ts";

type Volume = Stored<PersistentVolume>;

export interface LocalDiskOptions {
  run: Run;
  /** The folder that all volumes are in. */
  root: string;
  /** Where the kernel tells of mounts; tests write their own. */
  mountTable?: string;
}

/**
 * How the size of a volume is held: not at all, by a project quota, by a file system of its own.
 */
export type Held = "none" | "quota" | "loop";

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** A number for the kernel's project quotas, from the volume's own name (FNV-1a). */
function projectOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return 1 + (hash & 0x3fffffff);
}

export class LocalDisk {
  readonly #options: LocalDiskOptions;
  readonly #mounts: Mounts;
  #target: Promise<string | undefined> | undefined;
  /** One piece of work for a volume at a time. */
  readonly #busy = new Map<string, Promise<unknown>>();

  constructor(options: LocalDiskOptions) {
    this.#options = options;
    this.#mounts = new Mounts(options.run, options.mountTable);
  }

  get root(): string {
    return this.#options.root;
  }

  /** Where the volume is; throws an Error for a path that is not just below our folder. */
  pathOf(volume: Volume): string {
    const path = volume.spec?.local?.path ?? "";
    const name = path.startsWith(`${this.root}/`) ? path.slice(this.root.length + 1) : "";
    if (name === "" || name.startsWith(".") || name.includes("/") || name.endsWith(IMAGE)) {
      throw new Error(`${path} is no folder of ${this.root}`);
    }
    return path;
  }

  /** Makes the volume, or makes it larger. Idempotent, also after a reboot. */
  ensure(volume: Volume): Promise<{ path: string; held: Held }> {
    return this.#alone(volume, async () => {
      const path = this.pathOf(volume);
      const limit = sizeLimitOf(volume.metadata);
      const bytes = Math.ceil(quantityValue(volume.spec?.capacity?.["storage"] ?? 0));
      if (limit === "loop") {
        await this.#loop(path, bytes);
        return { path, held: "loop" };
      }
      await this.#folder(path);
      if (limit === "none") return { path, held: "none" };
      const target = await this.#quotaTarget();
      if (target !== undefined) {
        await this.#quota(volume, path, Math.ceil(bytes / 1024), target);
        return { path, held: "quota" };
      }
      if (limit === "quota") throw new Error(`${this.root} is on no file system with quotas`);
      return { path, held: "none" };
    });
  }

  /** Removes the volume and all that is in it. Idempotent. */
  remove(volume: Volume): Promise<void> {
    return this.#alone(volume, async () => {
      const path = this.pathOf(volume);
      await this.#mounts.unmountBelow(path);
      const busy = await this.#mounts.below(path);
      if (busy.length > 0) throw new Error(`${busy[0]} is still mounted`);
      await rm(path, { recursive: true, force: true });
      for (const image of [`${path}${IMAGE}`, `${path}${IMAGE}.new`])
        await rm(image, { force: true });
      const target =
        sizeLimitOf(volume.metadata) === "loop" ? undefined : await this.#quotaTarget();
      if (target !== undefined) await this.#setQuota(volume, 0, target);
    });
  }

  async #alone<T>(volume: Volume, work: () => Promise<T>): Promise<T> {
    const { uid } = volume.metadata;
    const before = this.#busy.get(uid) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.#busy.set(uid, mine);
    try {
      return await mine;
    } finally {
      if (this.#busy.get(uid) === mine) this.#busy.delete(uid);
    }
  }

  /** A new folder is everybody's, as a volume's is; one that is there keeps what its users set. */
  async #folder(path: string): Promise<void> {
    if (await exists(path)) return;
    await mkdir(path, { recursive: true });
    await chmod(path, 0o777);
  }

  async #must(argv: readonly string[]): Promise<string> {
    const result = await this.#options.run(argv, { timeoutMs: limits.volumeFormatMsMax });
    if (result.exitCode === 0) return result.stdout;
    const why = result.stderr.trim() || `exit ${result.exitCode}`;
    throw new Error(`${argv.join(" ")}: ${why}`);
  }

  async #loop(path: string, bytes: number): Promise<void> {
    const image = `${path}${IMAGE}`;
    await mkdir(path, { recursive: true });
    if (!(await exists(image))) {
      // Under its name only when whole: a power cut leaves no half file system behind.
      await rm(`${image}.new`, { force: true });
      await Bun.write(`${image}.new`, "");
      await truncate(`${image}.new`, bytes);
      await this.#must(["mkfs.ext4", "-q", "-F", "-m", "0", `${image}.new`]);
      await rename(`${image}.new`, image);
    }
    if ((await stat(image)).size < bytes) await truncate(image, bytes);
    if (await this.#mounts.isMounted(path)) return this.#growMounted(path, image);
    await this.#growAside(image);
    await this.#mounts.mount({ flags: ["-o", "loop,noatime"], source: image, point: path });
    await this.#openUp(path);
  }

  /**
   * While it is mounted only the kernel can do it, and only for a process with CAP_SYS_RESOURCE;
   * any other way would need the volume alone, which pods may use in mount namespaces of their own.
   */
  async #growMounted(path: string, image: string): Promise<void> {
    if (!(await this.#isSmall(image))) return;
    const device = await this.#device(path);
    await this.#must(["losetup", "-c", device]);
    await this.#must(["resize2fs", device]);
  }

  async #growAside(image: string): Promise<void> {
    if (!(await this.#isSmall(image))) return;
    // 1: errors were found and put right.
    const { exitCode, stderr } = await this.#options.run(["e2fsck", "-f", "-p", image], {
      timeoutMs: limits.volumeFormatMsMax,
    });
    if (exitCode > 1) throw new Error(`e2fsck ${image}: ${stderr.trim() || `exit ${exitCode}`}`);
    await this.#must(["resize2fs", image]);
  }

  /** The file has grown, and the file system in it has not. */
  async #isSmall(image: string): Promise<boolean> {
    const text = await this.#must(["tune2fs", "-l", image]);
    const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1]);
    const [blocks, blockBytes] = [field("Block count"), field("Block size")];
    return blocks * blockBytes + blockBytes <= (await stat(image)).size;
  }

  /** A fresh file system: everybody's, and empty, for programs that want an empty folder. */
  async #openUp(path: string): Promise<void> {
    const names = await readdir(path);
    if (names.length !== 1 || names[0] !== "lost+found") return;
    await rmdir(`${path}/lost+found`);
    await chmod(path, 0o777);
  }

  async #device(path: string): Promise<string> {
    const out = await this.#must(["findmnt", "-n", "-o", "SOURCE", "--mountpoint", path]);
    return must(out.trim().split("\n").at(-1), `device of ${path}`);
  }

  /**
   * Mount point of a file system with project quotas switched on; undefined where there is none.
   */
  #quotaTarget(): Promise<string | undefined> {
    this.#target ??= this.#findQuotas();
    return this.#target;
  }

  async #findQuotas(): Promise<string | undefined> {
    await mkdir(this.root, { recursive: true });
    const argv = ["findmnt", "-n", "-r", "-o", "TARGET,OPTIONS", "-T", this.root];
    const { exitCode, stdout } = await this.#options.run(argv);
    const [target, options = ""] = stdout.trim().split("\n").at(-1)?.split(" ") ?? [];
    const has = options.split(",").some((one) => one === "prjquota" || one === "pquota");
    return exitCode === 0 && has ? target : undefined;
  }

  async #quota(volume: Volume, path: string, kib: number, target: string): Promise<void> {
    const project = String(projectOf(volume.metadata.name));
    await this.#must(["chattr", "+P", "-p", project, path]);
    await this.#setQuota(volume, kib, target);
  }

  async #setQuota(volume: Volume, kib: number, target: string): Promise<void> {
    const project = String(projectOf(volume.metadata.name));
    await this.#must(["setquota", "-P", project, "0", String(kib), "0", "0", target]);
  }
}

/** Suffix of the file of a volume with a file system of its own. */
const IMAGE = ".img";
