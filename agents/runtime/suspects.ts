/**
 * Images that a power cut may have left half on the disk. containerd's records are synced and its
 * files are not, so after a cut an image can be listed as complete while its files are empty, and
 * fetching it again keeps the broken snapshot (containerd#8973, #10655). A note is on the disk
 * before a fetch begins and goes once everything is synced; a note that outlived a boot names
 * images to be removed. Ended containers on them go first, for their snapshots keep the image's:
 * another pod may have found it before it was on the disk. What a fetch brought before it had an
 * image is held by its lease, a day long, and no fetch brings it again while it is held: leases of
 * an earlier boot end, too.
 */
import { mkdir, open, readdir, readFile, rm } from "node:fs/promises";
import type { Containerd, ImageRecord } from "#agents/runtime/containerd.ts";
import { messageOf } from "#base/errors.ts";
import type { Log } from "#base/log.ts";

interface Note {
  bootId: string;
  /** The image that is fetched; "" for a file whose images are not known yet. */
  name: string;
  /** Digests by name of what was there before, and whole. */
  before: Record<string, string>;
}

export interface SuspectsParts {
  containerd: Containerd;
  log: Log;
  /** On the disk. */
  dir: string;
  /** Of this run of the machine (`/proc/sys/kernel/random/boot_id`). */
  bootId: () => Promise<string>;
  removeContainers: (ids: readonly string[]) => Promise<void>;
}

async function syncFolder(dir: string): Promise<void> {
  const folder = await open(dir, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** A fetch may have put it there: it was not there before, or was another one. */
function suspect(note: Note, { name, digest }: ImageRecord): boolean {
  return (note.name === "" || note.name === name) && note.before[name] !== digest;
}

function parse(text: string): Note | undefined {
  try {
    const note: Partial<Note> = JSON.parse(text);
    const { bootId, name, before } = note;
    if (bootId === undefined || name === undefined || before === undefined) return undefined;
    return { bootId, name, before };
  } catch {
    return undefined;
  }
}

export class Suspects {
  readonly #parts: SuspectsParts;
  #recovered: Promise<readonly string[]> | undefined;
  #count = 0;

  constructor(parts: SuspectsParts) {
    this.#parts = parts;
  }

  /** Before a fetch; call the answer once what it brought is synced. */
  async begin(name: string): Promise<() => Promise<void>> {
    const { dir, containerd } = this.#parts;
    const images = await containerd.images();
    const before = Object.fromEntries(images.map((image) => [image.name, image.digest]));
    const note: Note = { bootId: await this.#parts.bootId(), name, before };
    await mkdir(dir, { recursive: true });
    const path = `${dir}/${process.pid}-${this.#count++}`;
    const file = await open(path, "w");
    try {
      await file.writeFile(JSON.stringify(note));
      await file.sync();
    } finally {
      await file.close();
    }
    await syncFolder(dir);
    return async () => {
      await rm(path, { force: true });
      // A note that came back would cost a device without a network its image.
      await syncFolder(dir);
    };
  }

  /**
   * Removes what an earlier boot did not finish, once; answers the names. Tried again when it
   * fails.
   */
  recover(): Promise<readonly string[]> {
    this.#recovered ??= this.#recover().catch((error: unknown) => {
      this.#recovered = undefined;
      throw error;
    });
    return this.#recovered;
  }

  async #recover(): Promise<readonly string[]> {
    const { dir, containerd, log } = this.#parts;
    const bootId = await this.#parts.bootId();
    const removed: string[] = [];
    const notes: Array<{ path: string; note: Note | undefined }> = [];
    for (const file of await readdir(dir).catch(() => [])) {
      const path = `${dir}/${file}`;
      const note = parse(await readFile(path, "utf8"));
      // Of this boot: the fetch goes on, or its files are at least in memory.
      if (note?.bootId !== bootId) notes.push({ path, note });
    }
    if (notes.some(({ note }) => note !== undefined)) await containerd.endLeases();
    for (const { path, note } of notes) {
      // An unreadable note was cut off before its fetch began.
      const images = note === undefined ? [] : await containerd.images();
      for (const image of images) {
        if (note === undefined || !suspect(note, image)) continue;
        log.warn("image may be broken by a power cut, it will be fetched again", {
          image: image.name,
        });
        await this.#removeContainers(image.name);
        await containerd.removeImage(image.name);
        removed.push(image.name);
      }
      await rm(path, { force: true });
    }
    return removed;
  }

  /** One that cannot be removed must not keep the node from its other images. */
  async #removeContainers(image: string): Promise<void> {
    const { containerd, removeContainers, log } = this.#parts;
    const tasks = (await containerd.tasks()).filter(({ status }) => status !== "stopped");
    const alive = new Set(tasks.map(({ containerId }) => containerId));
    const records = await containerd.containers([`image==${JSON.stringify(image)}`]);
    const dead = records.map(({ id }) => id).filter((id) => !alive.has(id));
    if (dead.length === 0) return;
    await removeContainers(dead).catch((error: unknown) => {
      log.warn("containers of a broken image not removed", { image, error: messageOf(error) });
    });
  }
}

/** The id of this run of the machine; "" where the kernel does not tell. */
export async function machineBootId(log: Log): Promise<string> {
  try {
    return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  } catch (error) {
    log.warn("no boot id", { error: messageOf(error) });
    return "";
  }
}
