/**
 * Pods from a folder of files, which run without the API; it is shown a mirror of each.
 * https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, watch } from "node:fs";
import { parseAllDocuments } from "yaml";
import type { Cancel, Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import { type Client, isNotFound, StatusError } from "#client/client.ts";
import { pods } from "#resources/kinds/pod.ts";
import { refKey, type Stored } from "#resources/meta.ts";
import type { Node, Pod } from "#resources/types.gen.ts";

export const MIRROR = "kubernetes.io/config.mirror";
const SOURCE = "kubernetes.io/config.source";
const HASH = "kubernetes.io/config.hash";

export const isMirror = (pod: Pod): boolean => pod.metadata?.annotations?.[MIRROR] !== undefined;

/** The pod of one document. Throws an Error where it is none. */
export function staticPod(document: unknown, text: string, nodeName: string): Stored<Pod> {
  const pod = document as Pod | null;
  if (pod?.kind !== "Pod" || !pod.metadata?.name || !pod.spec?.containers?.length) {
    throw new Error("not a Pod");
  }
  // Another content is another pod: the old one is ended, the new one begun.
  const hash = createHash("md5").update(nodeName).update(text).digest("hex");
  const made: Stored<Pod> = {
    ...pod,
    apiVersion: "v1",
    metadata: {
      ...pod.metadata,
      name: `${pod.metadata.name}-${nodeName}`,
      namespace: pod.metadata.namespace ?? "default",
      uid: hash,
      resourceVersion: "",
      creationTimestamp: "",
      annotations: { ...pod.metadata.annotations, [HASH]: hash, [SOURCE]: "file" },
    },
    spec: { ...pod.spec, nodeName, enableServiceLinks: pod.spec.enableServiceLinks ?? true },
  };
  pods.defaults(made);
  // A static pod stays whatever taint its node gets.
  const stays = { operator: "Exists", effect: "NoExecute" };
  made.spec = { ...made.spec, containers: made.spec?.containers ?? [], tolerations: [stays] };
  return made;
}

/** What the API is shown of it. */
export function mirrorOf(pod: Stored<Pod>, node: Node | undefined): Pod {
  const { uid, name, namespace = "default", labels, annotations } = pod.metadata;
  const owner = {
    apiVersion: "v1",
    kind: "Node",
    name: node?.metadata?.name ?? "",
    uid: node?.metadata?.uid ?? "",
    controller: true,
  };
  return {
    metadata: {
      name,
      namespace,
      ...(labels && { labels }),
      annotations: { ...annotations, [MIRROR]: uid },
      ...(owner.uid !== "" && { ownerReferences: [owner] }),
    },
    ...(pod.spec && { spec: pod.spec }),
  };
}

export interface StaticPodsOptions {
  directory: string;
  nodeName: string;
  clock: Clock;
  log: Log;
  client: Client;
  node(): Node | undefined;
}

export class StaticPods {
  readonly #options: StaticPodsOptions;
  #pods = new Map<string, Stored<Pod>>();
  #close: () => void = () => {};
  #timer: Cancel | undefined;

  constructor(options: StaticPodsOptions) {
    this.#options = options;
  }

  /** All that the folder has now. */
  read(): ReadonlyArray<Stored<Pod>> {
    const { directory, log, nodeName } = this.#options;
    this.#pods = new Map();
    if (!existsSync(directory)) return [];
    for (const name of readdirSync(directory).sort()) {
      if (name.startsWith(".") || !/\.(ya?ml|json)$/.test(name)) continue;
      try {
        const text = readFileSync(`${directory}/${name}`, "utf8");
        for (const document of parseAllDocuments(text)) {
          const pod = staticPod(document.toJS(), text, nodeName);
          this.#pods.set(pod.metadata.uid, pod);
        }
      } catch (error) {
        log.warn("not a static pod", { file: `${directory}/${name}`, error: messageOf(error) });
      }
    }
    return [...this.#pods.values()];
  }

  /** Calls after the folder changed. */
  watch(changed: () => void): void {
    const { directory, clock } = this.#options;
    mkdirSync(directory, { recursive: true });
    const watcher = watch(directory, () => {
      // Editors write in several steps.
      this.#timer ??= clock.after(limits.staticPodsDelayMs, () => {
        this.#timer = undefined;
        changed();
      });
    });
    this.#close = () => watcher.close();
  }

  stop(): void {
    this.#close();
    this.#timer?.();
  }

  /** The pod of a file that this mirror shows; undefined where it shows none or an older one. */
  shownBy(mirror: Pod): Stored<Pod> | undefined {
    return this.#pods.get(mirror.metadata?.annotations?.[MIRROR] ?? "");
  }

  /** Makes the mirror anew where it is missing, and ends one that shows nothing any more. */
  async reconcile(mirrors: ReadonlyMap<string, Stored<Pod>>): Promise<void> {
    const { client, log, node } = this.#options;
    for (const mirror of mirrors.values()) {
      const stale = this.shownBy(mirror) === undefined;
      if (!stale && mirror.metadata.deletionTimestamp === undefined) continue;
      const { namespace = "", name, uid } = mirror.metadata;
      const options = { uid, gracePeriodSeconds: 0 };
      try {
        await client.delete(pods, { namespace, name }, options);
      } catch (error) {
        if (!isNotFound(error))
          log.warn("mirror pod not removed", { name, error: messageOf(error) });
      }
    }
    for (const pod of this.#pods.values()) {
      const { namespace = "", name } = pod.metadata;
      if (mirrors.has(refKey({ namespace, name }))) continue;
      try {
        await client.create(pods, mirrorOf(pod, node()));
      } catch (error) {
        const there = error instanceof StatusError && error.code === 409;
        if (!there) log.warn("mirror pod not made", { name, error: messageOf(error) });
      }
    }
  }
}
