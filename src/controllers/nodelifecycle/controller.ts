import type { Clock } from "#base/clock.ts";
import { type Controller, trigger } from "#client/controller.ts";
import { podsByNode } from "#controllers/common/pods.ts";
import { plan, type State } from "#controllers/nodelifecycle/plan.ts";
import { leases } from "#resources/kinds/lease.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import type { Stored } from "#resources/meta.ts";
import type { Lease, Node } from "#resources/types.gen.ts";

const query = { namespace: "kube-node-lease" };

/**
 * When a sign of each node was last seen, by our own steady clock: neither a node's clock nor a
 * jump of ours can make a node seem gone. After a restart of the server all nodes count as just
 * seen.
 */
class Signs {
  readonly #clock: Clock;
  readonly #seen = new Map<string, { renewed?: string; reported?: string; atMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Each sign is compared with the last of its own kind: another look is no sign. */
  #note(name: string, kind: "renewed" | "reported", mark: string): void {
    const seen = this.#seen.get(name);
    if (seen?.[kind] === mark) return;
    this.#seen.set(name, { ...seen, [kind]: mark, atMs: this.#clock.monotonic() });
  }

  renewed(name: string, lease: Stored<Lease> | undefined): void {
    this.#note(name, "renewed", `${lease?.spec?.renewTime}`);
  }

  reported(name: string, { status }: Stored<Node>): void {
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    this.#note(name, "reported", `${ready?.lastHeartbeatTime}`);
  }

  silentMs(name: string): number {
    const seen = this.#seen.get(name);
    return seen === undefined ? 0 : this.#clock.monotonic() - seen.atMs;
  }

  forget(name: string): void {
    this.#seen.delete(name);
  }
}

export function nodeLifecycleController(clock: Clock, graceMs: number): Controller<State> {
  const signs = new Signs(clock);
  return {
    name: "nodelifecycle",
    kind: nodes,
    triggers: [
      trigger(leases, ({ metadata }) => [metadata.name], {
        query,
        changed({ key, after }) {
          const name = key.slice(key.indexOf("/") + 1);
          const wasSilent = signs.silentMs(name) >= graceMs;
          signs.renewed(name, after);
          // A renewal is noted and wakes nobody, but one that ends a silence does.
          return wasSilent;
        },
      }),
    ],
    read(name, { caches }) {
      const node = caches.of(nodes).get(name);
      if (node === undefined) {
        signs.forget(name);
        return undefined;
      }
      signs.renewed(name, caches.of(leases, query).get(`${query.namespace}/${name}`));
      signs.reported(name, node);
      const silentMs = signs.silentMs(name);
      const silent = silentMs >= graceMs;
      const all = silent ? caches.of(nodes).list() : [];
      return {
        node,
        pods: silent ? caches.of(pods).indexed(podsByNode, name) : [],
        silentMs,
        graceMs,
        allSilent: silent && all.every((one) => signs.silentMs(one.metadata.name) >= graceMs),
      };
    },
    plan,
  };
}
