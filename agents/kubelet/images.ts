/** Images that the node has, as far as pods asked for them, and their pulls. */
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { Gate } from "#agents/kubelet/gate.ts";
import { registryAuth } from "#agents/kubelet/registryauth.ts";
import type { ImageInfo, Runtime } from "#agents/runtime/runtime.ts";
import type { ObjectSource } from "#agents/volumes/volumes.ts";
import type { Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";

export interface Pulled {
  image: ImageInfo;
  tookMs: number;
  /** Time spent waiting for other pulls, contained in `tookMs`. */
  waitedMs: number;
}

/** Why an image is not there, in the words of a container's status. */
export class ImageError extends Error {
  override name = "ImageError";
  readonly reason: string;
  constructor(reason: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

export interface ImagesOptions {
  runtime: Runtime;
  objects: ObjectSource;
  clock: Clock;
  log: Log;
  options: { dataDir: string };
}

export class Images {
  readonly #options: ImagesOptions;
  /** By the name as pods give it. Emptied when images change, for names move. */
  readonly #known = new Map<string, ImageInfo>();
  readonly #pulls = new Gate(limits.imagePullsMax);
  /** Tars that this agent loaded, should the disk have no room for the note of it. */
  readonly #loaded = new Map<string, string>();

  constructor(options: ImagesOptions) {
    this.#options = options;
  }

  get(name: string): ImageInfo | undefined {
    return this.#known.get(name);
  }

  /** The runtime told that images changed: ask again when next needed. */
  forget(): void {
    this.#known.clear();
  }

  async find(name: string): Promise<ImageInfo | undefined> {
    const image = await this.#options.runtime.inspectImage(name);
    if (image !== undefined) this.#known.set(name, image);
    return image;
  }

  /** Throws RuntimeError with the reason. */
  async pull(name: string, pod: Stored<Pod>): Promise<Pulled> {
    const { clock, runtime } = this.#options;
    const beganMs = clock.monotonic();
    const auth = registryAuth(name, await this.#secrets(pod));
    return this.#pulls.run(0, async () => {
      const waitedMs = clock.monotonic() - beganMs;
      const image = await runtime.pull(name, auth);
      this.#known.set(name, image);
      return { image, waitedMs, tookMs: clock.monotonic() - beganMs };
    });
  }

  async #secrets(pod: Stored<Pod>): Promise<Array<ReadonlyMap<string, Uint8Array>>> {
    const names = (pod.spec?.imagePullSecrets ?? []).flatMap(({ name }) => name || []);
    const namespace = pod.metadata.namespace ?? "";
    const found = await Promise.all(
      names.map((name) => this.#options.objects.get("secret", namespace, name)),
    );
    return found.filter((data) => data !== undefined);
  }

  /** Loads the tars of `DATA_DIR/images` that are new or changed since an agent last did. */
  async preload(): Promise<void> {
    const folder = `${this.#options.options.dataDir}/images`;
    const names = await readdir(folder).catch(() => []);
    for (const name of names.filter((file) => /\.(tar|tar\.gz|tgz)$/.test(file))) {
      const path = `${folder}/${name}`;
      const found = await stat(path).catch(() => undefined);
      // Taken away again while the folder was read.
      if (found === undefined) continue;
      const mark = `${found.size} ${found.mtimeMs}`;
      if (this.#loaded.get(path) === mark) continue;
      if ((await readFile(`${path}.loaded`, "utf8").catch(() => "")) === mark) continue;
      try {
        const images = await this.#options.runtime.load(path);
        this.forget();
        this.#options.log.info("images loaded", { file: name, images: images.join(" ") });
      } catch (error) {
        this.#options.log.warn("images not loaded", { file: path, error: messageOf(error) });
      }
      // Not before: a power cut meanwhile takes away what was loaded. One that cannot be loaded is
      // not tried again until it changes.
      this.#loaded.set(path, mark);
      await writeFile(`${path}.loaded`, mark).catch((error: unknown) => {
        this.#options.log.warn("images not noted as loaded", { path, error: messageOf(error) });
      });
    }
  }
}
