/**
 * Extracts a container's tar archive below a folder, and writes nothing outside of it. No step
 * follows a link. Names that lead out, links and special files are left out with a warning.
 */
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { chmod, type FileHandle, open, rename, rm, utimes } from "node:fs/promises";
import { entryOf, held, makeFolder, openFile, openFolder, openRoot } from "#base/beneath.ts";
import { readTar, type TarEntry } from "#cli/tarread.ts";

const { O_CREAT, O_EXCL, O_WRONLY } = constants;

export interface Unpacking {
  /** An existing folder. It may be a link, because the user named it. */
  root: string;
  /** Extracts only the first file, under this name. Without it all entries keep their names. */
  only?: string;
  warn(text: string): void;
}

/** Returns undefined for a path that leads out of the folder. */
function partsOf(path: string): string[] | undefined {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return path.startsWith("/") || parts.includes("..") || path.includes("\0") ? undefined : parts;
}

class Unpacker {
  readonly #to: Unpacking;
  /** Files of this archive. A hard link may name only these. */
  readonly #written = new Set<string>();
  files = 0;

  constructor(to: Unpacking) {
    this.#to = to;
  }

  async take(entry: TarEntry, body: AsyncIterable<Uint8Array>): Promise<void> {
    const shown = JSON.stringify(entry.path);
    const parts = partsOf(entry.path);
    if (parts === undefined) {
      this.#to.warn(`${shown} is left out: it leads out of the folder`);
    } else if (this.#to.only !== undefined) {
      if (entry.kind === "file" && this.files === 0) await this.#file([this.#to.only], entry, body);
      else this.#to.warn(`${shown} is left out: it is not the file that was asked for`);
    } else if (entry.kind === "folder") {
      const folder = await this.#folder(parts, entry.mode);
      await folder.close();
    } else if (parts.length === 0) {
      this.#to.warn(`${shown} is left out: it is not the name of a file`);
    } else if (entry.kind === "file") {
      await this.#file(parts, entry, body);
    } else if (entry.kind === "same") {
      await this.#copy(parts, entry);
    } else {
      const what =
        entry.kind === "link" ? `a link to ${JSON.stringify(entry.target)}` : "a special file";
      this.#to.warn(`${shown} is left out: it is ${what}`);
    }
  }

  /** Opens a folder and creates missing ones. The caller closes the handle. */
  async #folder(parts: readonly string[], mode = 0o755): Promise<FileHandle> {
    let folder = await openRoot(this.#to.root);
    try {
      for (const part of parts) {
        await makeFolder(folder, part, mode | 0o700);
        const next = await openFolder(folder, part);
        await folder.close();
        folder = next;
      }
      return folder;
    } catch (error) {
      await folder.close();
      throw new Error(`${parts.join("/")} is not a folder below ${this.#to.root}`, {
        cause: error,
      });
    }
  }

  /** Writes a temporary file and renames it. The rename replaces a link and does not follow it. */
  async #file(
    parts: readonly string[],
    entry: TarEntry,
    body: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const folder = await this.#folder(parts.slice(0, -1));
    const draft = entryOf(folder, `.bramble-cp-${randomBytes(8).toString("hex")}`);
    try {
      const file = await open(draft, O_WRONLY | O_CREAT | O_EXCL, 0o600);
      try {
        for await (const chunk of body) await file.writeFile(chunk);
        await chmod(held(file), entry.mode);
        await utimes(held(file), entry.mtimeMs / 1000, entry.mtimeMs / 1000);
      } finally {
        await file.close();
      }
      await rename(draft, entryOf(folder, parts.at(-1) ?? ""));
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    } finally {
      await folder.close();
    }
    this.#written.add(parts.join("/"));
    this.files++;
  }

  /** Extracts a hard link as a copy of the earlier file. */
  async #copy(parts: readonly string[], entry: TarEntry): Promise<void> {
    const from = partsOf(entry.target) ?? [];
    if (!this.#written.has(from.join("/"))) {
      const shown = JSON.stringify(entry.path);
      this.#to.warn(`${shown} is left out: its hard link names a file outside the archive`);
      return;
    }
    const folder = await this.#folder(from.slice(0, -1));
    try {
      const file = await openFile(folder, from.at(-1) ?? "");
      try {
        await this.#file(parts, entry, file.createReadStream({ autoClose: false }));
      } finally {
        await file.close();
      }
    } finally {
      await folder.close();
    }
  }
}

/** Returns the number of files that were written. @throws Error */
export async function unpack(chunks: AsyncIterable<Uint8Array>, to: Unpacking): Promise<number> {
  const unpacker = new Unpacker(to);
  await readTar(chunks, (entry, body) => unpacker.take(entry, body));
  return unpacker.files;
}
