/**
 * Fetching images with nerdctl: one fetch an image however many ask, few at once, and an image
 * counts as there only once its files are on the disk. A power cut soon after an unsynced load
 * leaves an image that containerd holds to be complete while its files are empty, for good
 * (containerd#8973).
 */

import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { Caller, type CallerOptions } from "#agents/runtime/caller.ts";
import type { Containerd } from "#agents/runtime/containerd.ts";
import type { Images } from "#agents/runtime/images.ts";
import { type ImageName, parseImageName } from "#agents/runtime/names.ts";
import { type ImageInfo, RuntimeError } from "#agents/runtime/runtime.ts";
import type { Suspects } from "#agents/runtime/suspects.ts";
import { messageOf } from "#base/errors.ts";
import { compoundKey } from "#base/key.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";

export interface Credentials {
  username: string;
  password: string;
}

export interface PullerParts {
  caller: CallerOptions;
  containerd: Containerd;
  images: Images;
  suspects: Suspects;
  log: Log;
  /** Proxies. */
  env: Record<string, string>;
  /** For files with credentials. */
  runDir: string;
  /** The node's own credentials: a Docker configuration file, which need not be there. */
  registryConfig: string | undefined;
}

function parse(name: string): ImageName {
  const parsed = parseImageName(name);
  if (parsed !== undefined) return parsed;
  throw new RuntimeError("InvalidImageName", `invalid reference format: ${JSON.stringify(name)}`);
}

interface DockerConfig {
  auths?: Record<string, object>;
}

/** Docker's configuration file, as `docker login` writes it, with one more registry. */
function withCredentials(config: DockerConfig, domain: string, auth: Credentials): DockerConfig {
  // Docker Hub's entry has had this name since its first version.
  const server = domain === "docker.io" ? "https://index.docker.io/v1/" : domain;
  const token = Buffer.from(`${auth.username}:${auth.password}`).toString("base64");
  return { ...config, auths: { ...config.auths, [server]: { auth: token } } };
}

export class Puller {
  readonly #parts: PullerParts;
  readonly #caller: Caller;
  readonly #active = new Map<string, Promise<ImageInfo>>();
  #roots: Promise<readonly string[]> | undefined;
  #count = 0;

  constructor(parts: PullerParts) {
    this.#parts = parts;
    this.#caller = new Caller(parts.caller);
  }

  pull(name: string, auth?: Credentials): Promise<ImageInfo> {
    const key = compoundKey(name, auth?.username, auth?.password);
    const active = this.#active.get(key);
    if (active !== undefined) return active;
    const pulling = this.#pull(name, auth).finally(() => this.#active.delete(key));
    this.#active.set(key, pulling);
    return pulling;
  }

  async #pull(name: string, auth: Credentials | undefined): Promise<ImageInfo> {
    const parsed = parse(name);
    const dir = `${this.#parts.runDir}/pull/${process.pid}-${this.#count++}`;
    try {
      const env = { ...this.#parts.env, ...(await this.#credentials(dir, parsed, auth)) };
      await this.#durably(parsed.full, async () => {
        const argv = ["pull", "--quiet", parsed.full];
        await this.#caller.call({ argv, env, timeoutMs: limits.imagePullMsMax });
      });
    } catch (error) {
      const text = `failed to pull image ${JSON.stringify(name)}: ${messageOf(error)}`;
      throw new RuntimeError("ErrImagePull", text, error);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
    const image = await this.#parts.images.inspect(parsed.full);
    if (image !== undefined) return image;
    throw new RuntimeError("ErrImagePull", `image ${parsed.full} is not there after its pull`);
  }

  /** nerdctl reads credentials from a file only; it is there as long as the pull. */
  async #credentials(
    dir: string,
    { domain }: ImageName,
    auth: Credentials | undefined,
  ): Promise<Record<string, string>> {
    const { registryConfig } = this.#parts;
    const path = registryConfig ?? "";
    const known = path !== "" && (await Bun.file(path).exists());
    if (auth === undefined && !known) return {};
    const own: DockerConfig = known ? JSON.parse(await readFile(path, "utf8")) : {};
    const config = auth === undefined ? own : withCredentials(own, domain, auth);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await writeFile(`${dir}/config.json`, JSON.stringify(config), { mode: 0o600 });
    return { DOCKER_CONFIG: dir };
  }

  /** Images of a tar file (docker-archive or OCI); answers their names. */
  async load(path: string): Promise<readonly string[]> {
    try {
      const output = await this.#durably("", () => {
        const argv = ["load", "--quiet", "--input", path];
        return this.#caller.call({ argv, timeoutMs: limits.imagePullMsMax });
      });
      return [...output.matchAll(/^Loaded image: (.+)$/gm)].map((match) => match[1] ?? "");
    } catch (error) {
      throw new RuntimeError("ErrImageLoad", `load ${path}: ${messageOf(error)}`, error);
    }
  }

  /** Notes what is fetched until it is on the disk (`suspects.ts`). */
  async #durably<T>(name: string, fetch: () => Promise<T>): Promise<T> {
    const { suspects } = this.#parts;
    await suspects.recover();
    const done = await suspects.begin(name);
    try {
      return await fetch();
    } finally {
      // Also when it failed: layers that other images share may be there.
      await this.#sync();
      await done();
    }
  }

  /** Everything that containerd wrote, to the disk. */
  async #sync(): Promise<void> {
    this.#roots ??= this.#parts.containerd.roots();
    const roots = await this.#roots;
    const argv = ["sync", "-f", ...roots];
    const result = await this.#parts.caller.run(argv, { timeoutMs: limits.diskSyncMsMax });
    if (result.exitCode !== 0) throw new Error(`sync ${roots.join(" ")}: ${result.stderr.trim()}`);
  }
}
