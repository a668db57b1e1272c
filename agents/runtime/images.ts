/**
 * What images are there and what they say of themselves, read from containerd's metadata and
 * content.
 */

import type { Containerd, ImageRecord } from "#agents/runtime/containerd.ts";
import { type ImageName, parseImageName } from "#agents/runtime/names.ts";
import type { ImageInfo } from "#agents/runtime/runtime.ts";
import type { Suspects } from "#agents/runtime/suspects.ts";
import { messageOf } from "#base/errors.ts";
import type { Log } from "#base/log.ts";

interface Descriptor {
  digest?: string;
  size?: number;
  platform?: { architecture?: string; os?: string; variant?: string };
}

interface Manifest {
  manifests?: Descriptor[];
  config?: Descriptor;
  layers?: Descriptor[];
}

interface Config {
  config?: { User?: string; StopSignal?: string };
  rootfs?: { diff_ids?: string[] };
}

/** What the content says; it never changes for a digest. */
interface Facts {
  id: string;
  sizeBytes: number;
  user: string;
  stopSignal: string;
  /** Digests of the unpacked layers, the lowest first. */
  layers: readonly string[];
}

export interface Platform {
  os: string;
  architecture: string;
}

async function json<T>(containerd: Containerd, digest: string): Promise<T | undefined> {
  const bytes = await containerd.content(digest);
  return bytes === undefined ? undefined : JSON.parse(new TextDecoder().decode(bytes));
}

function forPlatform(manifest: Manifest, platform: Platform): Descriptor | undefined {
  const fits = (each: Descriptor) =>
    each.platform?.os === platform.os && each.platform.architecture === platform.architecture;
  return manifest.manifests?.find(fits) ?? manifest.manifests?.at(0);
}

async function readFacts(
  containerd: Containerd,
  digest: string,
  platform: Platform,
): Promise<Facts | undefined> {
  let manifest = await json<Manifest>(containerd, digest);
  const chosen = manifest && forPlatform(manifest, platform);
  if (chosen?.digest !== undefined) manifest = await json<Manifest>(containerd, chosen.digest);
  const id = manifest?.config?.digest;
  if (manifest === undefined || id === undefined) return undefined;
  const image = await json<Config>(containerd, id);
  if (image === undefined) return undefined;
  const layers = manifest.layers ?? [];
  const sizeBytes = layers.reduce((sum, each) => sum + (each.size ?? 0), 0);
  return {
    id,
    sizeBytes,
    user: image.config?.User ?? "",
    stopSignal: image.config?.StopSignal ?? "",
    layers: image.rootfs?.diff_ids ?? [],
  };
}

export class Images {
  readonly #containerd: Containerd;
  readonly #platform: Platform;
  readonly #log: Log;
  readonly #suspects: Suspects;
  /** By the digest of manifest or index. Bounded by the images that are there. */
  #facts = new Map<string, Facts>();

  constructor(options: {
    containerd: Containerd;
    platform: Platform;
    log: Log;
    suspects: Suspects;
  }) {
    this.#containerd = options.containerd;
    this.#platform = options.platform;
    this.#log = options.log;
    this.#suspects = options.suspects;
  }

  async #factsOf(record: ImageRecord): Promise<Facts | undefined> {
    const known = this.#facts.get(record.digest);
    if (known !== undefined) return known;
    try {
      const facts = await readFacts(this.#containerd, record.digest, this.#platform);
      if (facts !== undefined) this.#facts.set(record.digest, facts);
      return facts;
    } catch (error) {
      // A broken manifest is as good as none: the image has to be fetched again.
      this.#log.warn("image not readable", { image: record.name, error: messageOf(error) });
      return undefined;
    }
  }

  /** Complete images, one entry for each id with all its names and `repository@digest`. */
  async list(): Promise<ImageInfo[]> {
    await this.#suspects.recover();
    const records = await this.#containerd.images();
    const present = new Set(records.map((record) => record.digest));
    for (const digest of this.#facts.keys()) if (!present.has(digest)) this.#facts.delete(digest);
    const byId = new Map<string, { facts: Facts; records: ImageRecord[] }>();
    for (const record of records) {
      const facts = await this.#factsOf(record);
      if (facts === undefined) continue;
      const entry = byId.get(facts.id) ?? { facts, records: [] };
      entry.records.push(record);
      byId.set(facts.id, entry);
    }
    return [...byId.values()].map(({ facts, records: all }) => info(facts, all));
  }

  /** A digest is also found under a tag of its repository that brought it. */
  async #record({ full, repository, digest }: ImageName): Promise<ImageRecord | undefined> {
    const named = await this.#containerd.image(full);
    if (named !== undefined || digest === undefined) return named;
    const sameRepository = (name: string) => parseImageName(name)?.repository === repository;
    return (await this.#containerd.images()).find(
      (record) => record.digest === digest && sameRepository(record.name),
    );
  }

  /** Undefined where there is no such image. */
  async layersOf(name: string): Promise<readonly string[] | undefined> {
    const parsed = parseImageName(name);
    const record = parsed && (await this.#record(parsed));
    return record && (await this.#factsOf(record))?.layers;
  }

  /** By name in any form, or by id (`sha256:…`). */
  async inspect(name: string): Promise<ImageInfo | undefined> {
    const parsed = parseImageName(name);
    if (parsed === undefined) {
      const id = name.startsWith("sha256:") ? name : `sha256:${name}`;
      return (await this.list()).find((image) => image.id === id);
    }
    await this.#suspects.recover();
    const record = await this.#record(parsed);
    const facts = record && (await this.#factsOf(record));
    return record && facts && info(facts, [record]);
  }
}

function info(facts: Facts, records: readonly ImageRecord[]): ImageInfo {
  const digests = new Set<string>();
  for (const record of records) {
    const parsed = parseImageName(record.name);
    if (parsed !== undefined) digests.add(`${parsed.repository}@${record.digest}`);
  }
  const { id, sizeBytes, user, stopSignal } = facts;
  return {
    id,
    sizeBytes,
    user,
    stopSignal,
    names: records.map((record) => record.name),
    digests: [...digests],
  };
}
