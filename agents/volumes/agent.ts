/** The volumes of this node's pods: see `volumes.ts` for the contract. */
import { chmod, mkdir, realpath, rm } from "node:fs/promises";
import type { Mount, Runtime } from "#agents/runtime/runtime.ts";
import { type ClaimSource, claimName, claimSource } from "#agents/volumes/claims.ts";
import { checkHostPath } from "#agents/volumes/hostpath.ts";
import { LiveVolume } from "#agents/volumes/live.ts";
import type { LocalDisk } from "#agents/volumes/localdisk.ts";
import { Mounts } from "#agents/volumes/mounts.ts";
import { setGroup } from "#agents/volumes/ownership.ts";
import type { RenderSource } from "#agents/volumes/render.ts";
import { openSubPath } from "#agents/volumes/subpath.ts";
import { Tokens } from "#agents/volumes/tokens.ts";
import type {
  HostVolume,
  HostVolumes,
  ObjectSource,
  PodVolumes,
  VolumeRequest,
} from "#agents/volumes/volumes.ts";
import { must } from "#base/assert.ts";
import type { Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Run } from "#base/process.ts";
import type { Client } from "#client/client.ts";
import { mediumPageBytes } from "#resources/hugepages.ts";
import { isMountOption } from "#resources/mountoptions.ts";
import { quantityValue } from "#resources/quantity.ts";
import type {
  EmptyDirVolumeSource,
  ImageVolumeSource,
  NFSVolumeSource,
  Volume,
  VolumeMount,
} from "#resources/types.gen.ts";

export interface VolumesOptions {
  client: Client;
  objects: ObjectSource;
  clock: Clock;
  log: Log;
  run: Run;
  dataDir: string;
  /** Volumes of our own provisioner; left out where local storage is switched off. */
  disk?: LocalDisk;
  /** Files of images, as volumes; whoever asks for the volume has the image there. */
  images: Pick<Runtime, "mountImage" | "releaseImages">;
  /** Where the kernel tells of mounts; tests write their own. */
  mountTable?: string;
}

const PROPAGATION: Record<string, "private" | "rslave" | "rshared"> = {
  None: "private",
  HostToContainer: "rslave",
  Bidirectional: "rshared",
};

interface PodEntry {
  volumes: Map<string, HostVolume>;
  live: LiveVolume[];
  /** Files of images are held for it. */
  images: boolean;
}

class NodeVolumes implements PodVolumes {
  readonly #options: VolumesOptions;
  readonly #mounts: Mounts;
  readonly #pods = new Map<string, PodEntry>();
  readonly #source: RenderSource;
  readonly #tokens: Tokens;
  #memory: Promise<void> | undefined;
  #subPaths = 0;

  constructor(options: VolumesOptions) {
    this.#options = options;
    this.#mounts = new Mounts(options.run, options.mountTable);
    this.#tokens = new Tokens(options.client, options.clock);
    this.#source = {
      objects: options.objects,
      token: (request, audience, seconds) => this.#tokens.get(request, audience, seconds),
      trustBundle: () => Promise.reject(new Error("clusterTrustBundle is not supported")),
    };
  }

  /** Configuration and secrets are in memory: never on the disk, and no wear of it. */
  get #memoryRoot(): string {
    return `${this.#options.dataDir}/memory`;
  }

  async prepare(request: VolumeRequest): Promise<HostVolumes> {
    const { uid } = request.pod.metadata;
    const entry: PodEntry = this.#pods.get(uid) ?? { volumes: new Map(), live: [], images: false };
    this.#pods.set(uid, entry);
    const missing = (request.pod.spec?.volumes ?? []).filter(
      ({ name }) => !entry.volumes.has(name),
    );
    await Promise.all(
      missing.map(async (volume) => {
        try {
          entry.volumes.set(volume.name, await this.#make(request, volume, entry));
        } catch (error) {
          const text = `MountVolume.SetUp failed for volume "${volume.name}" : ${messageOf(error)}`;
          throw new Error(text, { cause: error });
        }
      }),
    );
    return entry.volumes;
  }

  refresh(request: VolumeRequest): void {
    for (const live of this.#pods.get(request.pod.metadata.uid)?.live ?? []) live.refresh(request);
  }

  async #make(request: VolumeRequest, volume: Volume, entry: PodEntry): Promise<HostVolume> {
    const group = request.pod.spec?.securityContext?.fsGroup;
    const policy = request.pod.spec?.securityContext?.fsGroupChangePolicy;
    if (volume.configMap || volume.secret || volume.projected || volume.downwardAPI) {
      return this.#makeLive(request, volume, entry);
    }
    if (volume.emptyDir) {
      const path = await this.#makeEmpty(request, volume.name, volume.emptyDir);
      if (group !== undefined) await setGroup(path, group, policy);
      return { path, readOnly: false };
    }
    if (volume.hostPath) {
      await checkHostPath(volume.hostPath.path, volume.hostPath.type);
      return { path: volume.hostPath.path, readOnly: false };
    }
    if (volume.image) return this.#mountImage(request, volume.name, volume.image, entry);
    if (volume.nfs) return this.#mountNfs(request, volume.name, volume.nfs, []);
    const claim = claimName(request.pod, volume);
    if (claim === undefined) throw new Error("this type of volume is not supported on this node");
    const source = await claimSource(this.#options.client, request.pod, volume, claim);
    if (source.kind === "block") {
      await checkHostPath(source.path, "BlockDevice");
      // The runtime splits at colons, which names by path or by bus contain.
      return { path: await realpath(source.path), readOnly: false, block: true };
    }
    const made = await this.#makeClaim(request, volume, source);
    const owned = source.kind !== "path" || source.isLocal;
    if (group !== undefined && owned && !made.readOnly) await setGroup(made.path, group, policy);
    return made;
  }

  async #makeLive(request: VolumeRequest, volume: Volume, entry: PodEntry): Promise<HostVolume> {
    this.#memory ??= this.#mountMemory();
    await this.#memory;
    const directory = `${this.#memoryRoot}/${request.pod.metadata.uid}/${volume.name}`;
    const { clock, log } = this.#options;
    const live = new LiveVolume(volume, request, { source: this.#source, clock, log, directory });
    await mkdir(directory, { recursive: true });
    try {
      await live.start();
    } catch (error) {
      live.close();
      throw error;
    }
    entry.live.push(live);
    return { path: directory, readOnly: true };
  }

  async #mountMemory(): Promise<void> {
    await mkdir(this.#memoryRoot, { recursive: true, mode: 0o755 });
    if (await this.#mounts.isMounted(this.#memoryRoot)) return;
    const flags = ["-t", "tmpfs", "-o", "mode=0755"];
    await this.#mounts.mount({ flags, source: "bramble", point: this.#memoryRoot });
  }

  async #makeEmpty(
    request: VolumeRequest,
    name: string,
    { medium = "", sizeLimit }: EmptyDirVolumeSource,
  ): Promise<string> {
    const path = await this.#folder(request, name, 0o777);
    if (medium === "") return path;
    const pageBytes = mediumPageBytes(medium, request.pod.spec ?? { containers: [] });
    if (medium !== "Memory" && pageBytes === undefined) {
      throw new Error(`emptyDir medium ${medium} is not supported`);
    }
    if (await this.#mounts.isMounted(path)) return path;
    if (pageBytes !== undefined) {
      const flags = ["-t", "hugetlbfs", "-o", `mode=0777,pagesize=${pageBytes}`];
      await this.#mounts.mount({ flags, source: "nodev", point: path });
      return path;
    }
    const bytes = sizeLimit === undefined ? 0 : Math.floor(quantityValue(sizeLimit));
    const options = bytes > 0 ? `mode=0777,size=${bytes}` : "mode=0777";
    const flags = ["-t", "tmpfs", "-o", options];
    await this.#mounts.mount({ flags, source: "tmpfs", point: path });
    return path;
  }

  async #folder(request: VolumeRequest, name: string, mode: number): Promise<string> {
    const path = `${request.directory}/volumes/${name}`;
    await mkdir(path, { recursive: true });
    // Explicitly: a creation mask would take bits away.
    await chmod(path, mode);
    return path;
  }

  async #makeClaim(
    request: VolumeRequest,
    volume: Volume,
    source: Exclude<ClaimSource, { kind: "block" }>,
  ): Promise<HostVolume> {
    const asked = volume.persistentVolumeClaim?.readOnly === true;
    if (source.kind === "local") {
      const { disk } = this.#options;
      if (disk === undefined) throw new Error("local storage is switched off on this node");
      const { path } = await disk.ensure(source.volume);
      return { path, readOnly: asked };
    }
    const readOnly = source.readOnly || asked;
    if (source.kind === "nfs") {
      const made = await this.#mountNfs(request, volume.name, source.nfs, source.options);
      return { ...made, readOnly };
    }
    await checkHostPath(source.path, source.type ?? (source.isLocal ? "Directory" : ""));
    return { path: source.path, readOnly };
  }

  async #mountNfs(
    request: VolumeRequest,
    name: string,
    nfs: NFSVolumeSource,
    options: readonly string[],
  ): Promise<HostVolume> {
    const path = await this.#folder(request, name, 0o750);
    const readOnly = nfs.readOnly === true;
    if (await this.#mounts.isMounted(path)) return { path, readOnly };
    const wrong = options.find((option) => !isMountOption(option));
    if (wrong !== undefined)
      throw new Error(`mount option ${JSON.stringify(wrong)} is not allowed`);
    const all = [...(readOnly ? ["ro"] : []), ...options].join(",");
    const flags = ["-t", "nfs", ...(all === "" ? [] : ["-o", all])];
    await this.#mounts.mount({ flags, source: `${nfs.server}:${nfs.path}`, point: path });
    return { path, readOnly };
  }

  async #mountImage(
    request: VolumeRequest,
    name: string,
    { reference = "" }: ImageVolumeSource,
    entry: PodEntry,
  ): Promise<HostVolume> {
    const path = await this.#folder(request, name, 0o755);
    entry.images = true;
    const made = { path, readOnly: true, noExec: true };
    if (await this.#mounts.isMounted(path)) return made;
    const owner = request.pod.metadata.uid;
    await this.#options.images.mountImage(reference, { owner, volume: name, target: path });
    return made;
  }

  async mounts(
    volumes: HostVolumes,
    mounts: readonly VolumeMount[],
    expand: (text: string) => string,
    request: VolumeRequest,
  ): Promise<Mount[]> {
    const out: Mount[] = [];
    for (const mount of mounts) {
      const volume = must(volumes.get(mount.name), `volume ${mount.name}`);
      const subPath = mount.subPathExpr ? expand(mount.subPathExpr) : mount.subPath;
      const source = subPath
        ? await this.#bindSubPath(request, mount.name, volume.path, subPath)
        : volume.path;
      const readOnly = volume.readOnly || mount.readOnly === true;
      const propagation = PROPAGATION[mount.mountPropagation ?? "None"] ?? "private";
      const recursive =
        mount.recursiveReadOnly === "Enabled" || mount.recursiveReadOnly === "IfPossible";
      out.push({
        source,
        target: mount.mountPath.startsWith("/") ? mount.mountPath : `/${mount.mountPath}`,
        readOnly,
        ...(recursive && readOnly && { recursiveReadOnly: true }),
        ...(propagation !== "private" && { propagation }),
        ...(volume.noExec && { noExec: true }),
      });
    }
    return out;
  }

  /**
   * Mounts what was opened, by its descriptor, at a place of ours: the name may lead elsewhere by
   * now.
   */
  async #bindSubPath(
    request: VolumeRequest,
    name: string,
    root: string,
    subPath: string,
  ): Promise<string> {
    const handle = await openSubPath(root, subPath);
    try {
      const stat = await handle.stat();
      const folder = `${request.directory}/subpaths/${name}`;
      await mkdir(folder, { recursive: true });
      const target = `${folder}/${++this.#subPaths}`;
      if (stat.isDirectory()) await mkdir(target, { recursive: true });
      else await Bun.write(target, "");
      const opened = `/proc/${process.pid}/fd/${handle.fd}`;
      await this.#mounts.mount({ flags: ["--bind"], source: opened, point: target });
      return target;
    } finally {
      await handle.close();
    }
  }

  async teardown(uid: string): Promise<void> {
    const entry = this.#pods.get(uid);
    for (const live of entry?.live ?? []) live.close();
    this.#pods.delete(uid);
    this.#tokens.forget(uid);
    const directory = `${this.#options.dataDir}/pods/${uid}`;
    await this.#mounts.unmountBelow(directory);
    // What an agent before this one did is not known.
    if (entry === undefined || entry.images) await this.#options.images.releaseImages(uid);
    await Promise.all([
      rm(`${directory}/volumes`, { recursive: true, force: true }),
      rm(`${directory}/subpaths`, { recursive: true, force: true }),
      rm(`${this.#memoryRoot}/${uid}`, { recursive: true, force: true }),
    ]);
  }

  async reset(): Promise<void> {
    this.close();
    await this.#mounts.unmountBelow(this.#memoryRoot);
    await rm(this.#memoryRoot, { recursive: true, force: true });
    this.#memory = undefined;
  }

  close(): void {
    for (const { live } of this.#pods.values()) for (const one of live) one.close();
    this.#pods.clear();
  }
}

export function createVolumes(options: VolumesOptions): PodVolumes {
  return new NodeVolumes(options);
}
