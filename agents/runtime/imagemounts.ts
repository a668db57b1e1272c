/**
 * Images as folders: a read-only view of an image's snapshot, mounted where a volume wants it. The
 * view holds the image's files until it is removed, whatever becomes of the image's name.
 */
import type { Containerd } from "#agents/runtime/containerd.ts";
import { RuntimeError } from "#agents/runtime/runtime.ts";
import type { Run } from "#base/process.ts";

const OWNER = "bramble.dev/volume-of";
/** Keeps containerd from clearing away what no container uses. */
const ROOT_LABEL = "containerd.io/gc.root";

/**
 * The name of the snapshot of a stack of layers.
 * https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid
 */
export function chainId(layers: readonly string[]): string {
  return layers.reduce((below, layer) => {
    if (below === "") return layer;
    return `sha256:${new Bun.CryptoHasher("sha256").update(`${below} ${layer}`).digest("hex")}`;
  }, "");
}

/** What a snapshot says, without the right to write and to run programs (KEP-4639). */
export function mountArguments(mount: {
  type: string;
  source: string;
  options: readonly string[];
}) {
  const kept = mount.options.filter((option) => option !== "rw" && option !== "ro");
  const options = [...new Set([...kept, "ro", "noexec"])].join(",");
  const type = mount.type === "bind" ? [] : ["-t", mount.type];
  return [...type, "-o", options, "--", mount.source];
}

export interface ImageMount {
  /** Of the image. */
  layers: readonly string[];
  owner: string;
  volume: string;
  target: string;
}

export class ImageMounts {
  readonly #containerd: Containerd;
  readonly #run: Run;

  constructor(containerd: Containerd, run: Run) {
    this.#containerd = containerd;
    this.#run = run;
  }

  async mount({ layers, owner, volume, target }: ImageMount): Promise<void> {
    const key = `bramble-${owner}-${volume}`;
    const labels = { [OWNER]: owner, [ROOT_LABEL]: new Date(0).toISOString() };
    const [first] = await this.#containerd.view({ key, parent: chainId(layers), labels });
    if (first === undefined) throw new RuntimeError("FailedMount", `no mount of ${key}`);
    const result = await this.#run(["mount", ...mountArguments(first), target]);
    if (result.exitCode === 0) return;
    throw new RuntimeError("FailedMount", `mount image: ${result.stderr.trim()}`);
  }

  /** Of one owner, or all. */
  async release(owner?: string): Promise<void> {
    for (const key of await this.#containerd.snapshotsWith(OWNER, owner)) {
      await this.#containerd.removeSnapshot(key);
    }
  }
}
