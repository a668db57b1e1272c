/** Container images from local files, built once a machine by `test/lab/mkimage`. */
import { existsSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const BUSYBOX = "bramble.test/busybox:1";

const MKIMAGE = new URL("../lab/mkimage", import.meta.url).pathname;

export interface ImageOptions {
  name: string;
  /** Further arguments of mkimage. */
  args?: readonly string[];
}

/** Makes a docker-archive tar with that image. */
export function makeImage(path: string, { name, args = [] }: ImageOptions): void {
  for (const tool of ["umoci", "skopeo", "busybox"]) {
    if (Bun.which(tool) === null) throw new Error(`${tool} is missing`);
  }
  const made = Bun.spawnSync([MKIMAGE, name, path, ...args], { stderr: "pipe" });
  if (made.exitCode !== 0) throw new Error(`mkimage: ${made.stderr.toString()}`);
}

/**
 * Path of such a tar that is kept for later runs; for images that need no files but the machine's.
 * Two runs at once may both build it; one wins.
 */
export async function imageTar(options: ImageOptions): Promise<string> {
  const recipe = JSON.stringify([options, await Bun.file(MKIMAGE).text()]);
  const dir = join(tmpdir(), "bramble-test-images");
  const path = join(dir, `${Bun.hash(recipe).toString(36)}.tar`);
  if (existsSync(path)) return path;
  await mkdir(dir, { recursive: true });
  const draft = `${path}.${process.pid}`;
  makeImage(draft, options);
  await rename(draft, path);
  return path;
}

export const busyboxTar = (): Promise<string> => imageTar({ name: BUSYBOX });
