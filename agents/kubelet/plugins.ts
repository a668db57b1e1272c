/**
 * Device plugins of others: programs that offer devices of the node as extended resources.
 * https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/
 */
import { openPluginSocket } from "#agents/kubelet/pluginsocket.ts";
import {
  allocateRequest,
  type Grant,
  PLUGIN_VERSION,
  preStartRequest,
  type Registration,
  readGrant,
  readHealthy,
  readRegistration,
} from "#agents/kubelet/pluginwire.ts";
import type { PodRecord } from "#agents/kubelet/types.ts";
import { messageOf } from "#base/errors.ts";
import { createGrpc, type Grpc } from "#base/grpc.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Pod } from "#resources/types.gen.ts";

interface Plugin {
  registration: Registration;
  healthy: ReadonlySet<string>;
  ended: AbortController;
}

/** Ids by resource, by container. */
export type Plugged = Record<string, Record<string, string[]>>;

/** `example.com/thing`, and nothing of Kubernetes' own. */
const RESOURCE = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?\/[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/;

export interface PluginsOptions {
  dir: string;
  log: Log;
  /** What is offered is another. */
  changed(): void;
}

export class Plugins {
  readonly #options: PluginsOptions;
  readonly #plugins = new Map<string, Plugin>();
  #socket: Promise<() => void> | undefined;

  constructor(options: PluginsOptions) {
    this.#options = options;
  }

  start(): void {
    const { dir, log } = this.#options;
    this.#socket = openPluginSocket({ dir, log, register: (bytes) => this.#register(bytes) });
    this.#socket.catch((error: unknown) => {
      log.warn("no socket for device plugins", { dir, error: messageOf(error) });
    });
  }

  stop(): void {
    void this.#socket?.then(
      (close) => close(),
      () => {},
    );
    for (const { ended } of this.#plugins.values()) ended.abort();
  }

  /** How many devices of each resource are well; 0 for one whose plugin went. */
  capacity(): Record<string, number> {
    return Object.fromEntries(
      [...this.#plugins].map(([resource, { healthy }]) => [resource, healthy.size]),
    );
  }

  #register(bytes: Uint8Array): void {
    const registration = readRegistration(bytes);
    const { version, endpoint, resource } = registration;
    if (version !== PLUGIN_VERSION) throw new Error(`version ${version} is not ${PLUGIN_VERSION}`);
    if (!RESOURCE.test(resource) || resource.includes("kubernetes.io/")) {
      throw new Error(`${JSON.stringify(resource)} is no name of an extended resource`);
    }
    if (!/^[^/]+$/.test(endpoint)) throw new Error("the endpoint is no file of this folder");
    this.#plugins.get(resource)?.ended.abort();
    const plugin: Plugin = { registration, healthy: new Set(), ended: new AbortController() };
    this.#plugins.set(resource, plugin);
    this.#options.log.info("device plugin", { resource });
    void this.#watch(plugin);
  }

  #grpc({ registration }: Plugin): Grpc {
    return createGrpc({
      endpoint: { unix: `${this.#options.dir}/${registration.endpoint}` },
      connectMsMax: limits.pluginMsMax,
      metadata: {},
    });
  }

  /** Until the plugin ends; a new one registers by itself. */
  async #watch(plugin: Plugin): Promise<void> {
    const { log, changed } = this.#options;
    const { resource } = plugin.registration;
    const grpc = this.#grpc(plugin);
    const tell = (healthy: ReadonlySet<string>) => {
      plugin.healthy = healthy;
      if (this.#plugins.get(resource) === plugin) changed();
    };
    const { signal } = plugin.ended;
    try {
      const method = `${PLUGIN_VERSION}.DevicePlugin/ListAndWatch`;
      const nothing = new Uint8Array();
      await grpc.stream(method, nothing, (m) => tell(new Set(readHealthy(m))), { signal });
    } catch (error) {
      if (!signal.aborted) log.warn("device plugin is gone", { resource, error: messageOf(error) });
    } finally {
      grpc.close();
      tell(new Set());
    }
  }

  /** Undefined where a device is missing. Ids that `others` have are taken. */
  assign(pod: Pod, others: readonly PodRecord[]): Plugged | undefined {
    const taken = new Set(
      others.flatMap(({ plugged = {} }) =>
        Object.values(plugged).flatMap((of) =>
          Object.entries(of).flatMap(([resource, ids]) => ids.map((id) => `${resource} ${id}`)),
        ),
      ),
    );
    const given: Plugged = {};
    const inits = (pod.spec?.initContainers ?? []).map((spec) => ({ spec, hands: true }));
    const mains = (pod.spec?.containers ?? []).map((spec) => ({ spec, hands: false }));
    for (const { spec, hands } of [...inits, ...mains]) {
      for (const [resource, { healthy }] of this.#plugins) {
        const count = Number(spec.resources?.limits?.[resource] ?? 0);
        if (count <= 0) continue;
        const free = [...healthy].filter((id) => !taken.has(`${resource} ${id}`)).slice(0, count);
        if (free.length < count) return undefined;
        given[spec.name] = { ...given[spec.name], [resource]: free };
        // Init containers hand theirs on.
        if (!hands) for (const id of free) taken.add(`${resource} ${id}`);
      }
    }
    return given;
  }

  /** Throws an Error where a plugin does not answer. */
  async grants(plugged: Readonly<Record<string, string[]>> = {}): Promise<Grant[]> {
    return Promise.all(
      Object.entries(plugged).map(async ([resource, ids]) => {
        const plugin = this.#plugins.get(resource);
        if (plugin === undefined) throw new Error(`no device plugin for ${resource} is registered`);
        const grant = readGrant(await this.#call(plugin, "Allocate", allocateRequest(ids)));
        if (plugin.registration.preStart) {
          await this.#call(plugin, "PreStartContainer", preStartRequest(ids));
        }
        return grant;
      }),
    );
  }

  /** A connection for each call: they are as rare as starts of containers with devices. */
  async #call(plugin: Plugin, method: string, message: Uint8Array): Promise<Uint8Array> {
    const grpc = this.#grpc(plugin);
    try {
      const path = `${PLUGIN_VERSION}.DevicePlugin/${method}`;
      return await grpc.unary(path, message, { timeoutMs: limits.pluginMsMax });
    } finally {
      grpc.close();
    }
  }
}
