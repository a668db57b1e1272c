/**
 * containerd keeps an empty folder on the disk for each task, and removes it with the task. A power
 * cut ends tasks without it, and its next start looks only for folders of namespaces whose state is
 * left, which is none: each cut would leave as many as there were containers, for good.
 */
import { rmdir } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type { Containerd } from "#agents/runtime/containerd.ts";

/** Folders below containerd's root are named by type and name of the plugin. */
const CONTENT = "io.containerd.content.v1.content";
const TASKS = "io.containerd.runtime.v2.task";

export class WorkDirs {
  readonly #containerd: Containerd;
  readonly #namespace: string;
  #roots: Promise<readonly string[]> | undefined;

  constructor(containerd: Containerd, namespace: string) {
    this.#containerd = containerd;
    this.#namespace = namespace;
  }

  /** Of containers that are gone. Best effort: one that holds something is not ours to remove. */
  async remove(ids: readonly string[]): Promise<void> {
    this.#roots ??= this.#containerd.roots();
    const roots = await this.#roots.catch(() => {
      this.#roots = undefined;
      return [];
    });
    const content = roots.find((root) => basename(root) === CONTENT);
    if (content === undefined) return;
    const folder = `${dirname(content)}/${TASKS}/${this.#namespace}`;
    await Promise.all(ids.map((id) => rmdir(`${folder}/${id}`).catch(() => {})));
  }
}
