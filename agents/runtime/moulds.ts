/** Keeps what nerdctl made, by its shape, and makes more of it through containerd's API alone. */
import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import type { Containerd, ContainerRecord } from "#agents/runtime/containerd.ts";
import { cast, type MadeContainer, type Mould, mouldOf, shapeOf } from "#agents/runtime/mould.ts";
import { parseImageName } from "#agents/runtime/names.ts";
import type { OciSpec } from "#agents/runtime/ocispec.ts";
import type { ContainerSpec } from "#agents/runtime/runtime.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";

/** A container that is not started yet; `commit` gives it its final specification. */
export interface Unstarted {
  record: ContainerRecord;
  commit(spec: OciSpec): Promise<void>;
}

interface Kept {
  mould: Mould;
  /** Whose runtime, image and snapshotter the others have. */
  record: ContainerRecord;
  /** The snapshot of the image. */
  parent: string;
}

const ID_BYTES = 32;

/** The copy could not be made; whether nerdctl can make the container is another question. */
export class CastError extends Error {
  override name = "CastError";
}

export class Moulds {
  readonly #containerd: Containerd;
  readonly #kept = new Map<string, Kept>();

  constructor(containerd: Containerd) {
    this.#containerd = containerd;
  }

  /** Undefined where the image is not there, or the container is like no other. */
  async shape(spec: ContainerSpec): Promise<string | undefined> {
    const image = await this.#containerd.image(parseImageName(spec.image)?.full ?? spec.image);
    return image && shapeOf(spec, image.digest);
  }

  /** From what nerdctl has made just now. */
  async learn(shape: string, record: ContainerRecord, spec: ContainerSpec): Promise<void> {
    const made: MadeContainer = { id: record.id, labels: record.labels, spec: record.spec() };
    const mould = mouldOf(made, spec);
    const parent = mould && (await this.#containerd.parentOf(record));
    if (mould === undefined || !parent) return;
    const [oldest] = this.#kept.keys();
    if (this.#kept.size >= limits.containerMouldsMax && oldest) this.#kept.delete(oldest);
    this.#kept.set(shape, { mould, record, parent });
  }

  forget(shape: string): void {
    this.#kept.delete(shape);
  }

  /** A container of this shape, if one was learnt. Nothing is made before `commit`. */
  cast(shape: string, spec: ContainerSpec): Unstarted | undefined {
    const kept = this.#kept.get(shape);
    if (kept === undefined) return undefined;
    const id = randomBytes(ID_BYTES).toString("hex");
    const { labels, spec: oci, stateDir, hostnameFile } = cast(kept.mould, id, spec);
    const record = { ...kept.record, id, labels, snapshotKey: id, spec: () => oci };
    return {
      record,
      commit: async (finished) => {
        try {
          await mkdir(stateDir, { recursive: true, mode: 0o700 });
          await writeFile(hostnameFile, `${spec.hostname ?? ""}\n`);
          // As nerdctl and CRI do for a source that is not there.
          await Promise.all(spec.mounts.map(({ source }) => madeSource(source)));
          // The record first: it holds the snapshot, which would be garbage without one.
          await this.#containerd.createContainer(record, finished);
          await this.#containerd.prepare(record, kept.parent);
        } catch (error) {
          throw new CastError(`copy of container ${kept.record.id}: ${messageOf(error)}`, {
            cause: error,
          });
        }
      },
    };
  }
}

async function madeSource(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    // A file: it is there.
    if (error.code !== "EEXIST") throw error;
  });
}
