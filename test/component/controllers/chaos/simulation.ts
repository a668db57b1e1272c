/**
 * A whole control plane over the real API under one seeded clock: two processes that elect a
 * leader, with all controllers and the scheduler, an API server that is killed, machines that fail.
 */
import { type Client, StatusError } from "#client/client.ts";
import { createClient } from "#client/http.ts";
import { nodes } from "#resources/kinds/node.ts";
import { Machines, OUT_OF_SERVICE } from "#test/component/controllers/chaos/machines.ts";
import { Manager } from "#test/component/controllers/chaos/manager.ts";
import { ChaosServer } from "#test/component/controllers/chaos/server.ts";
import { type FakeClock, fakeClock } from "#test/support/clock.ts";
import { type Chance, chanceOf, FaultyFetch } from "#test/support/faults.ts";
import { seededRandom } from "#test/support/random.ts";

const HELD = [
  "pods",
  "replicasets",
  "deployments",
  "statefulsets",
  "daemonsets",
  "jobs",
  "poddisruptionbudgets",
  "endpointslices",
  "persistentvolumeclaims",
  "persistentvolumes",
  "resourcequotas",
  "namespaces",
];

export class Simulation {
  readonly seed: number;
  readonly clock: FakeClock = fakeClock();
  readonly chance: Chance;
  readonly server: ChaosServer;
  readonly managers: readonly Manager[];
  readonly machines: Machines;
  /** Without faults but for the server's deaths: for users, machines and checks. */
  readonly client: Client;
  /** Writes of the control plane, without Leases and Events, since someone last took them. */
  readonly writes: string[] = [];
  /** What happened, for whoever has to understand a seed that failed. */
  readonly log: string[] = [];
  #downUntilMs = 0;

  private constructor(seed: number) {
    this.seed = seed;
    this.chance = chanceOf(seed);
    // The program's own chance must not change what the simulation decides, nor the other way.
    const random = seededRandom(seed ^ 0x5eed);
    const { clock } = this;
    this.server = new ChaosServer({ clock, random });
    this.client = createClient((request) => this.server.fetch(request));
    this.machines = new Machines({ client: this.client, clock, chance: this.chance });
    const counted = (request: Request): Promise<Response> => {
      this.#count(request);
      return this.server.fetch(request);
    };
    this.managers = ["a", "b"].map(
      (name) => new Manager(name, new FaultyFetch(counted, this.chance, clock), { clock, random }),
    );
  }

  static async start(seed: number): Promise<Simulation> {
    const simulation = new Simulation(seed);
    await simulation.server.start();
    for (const name of simulation.machines.names) await simulation.machines.join(name);
    for (const manager of simulation.managers) manager.start();
    return simulation;
  }

  async close(): Promise<void> {
    for (const manager of this.managers) manager.crash();
    await this.clock.settle();
    this.server.close();
  }

  #count(request: Request): void {
    if (request.method === "GET") return;
    const { pathname } = new URL(request.url);
    if (!/\/(events|leases)(\/|$)/.test(pathname))
      this.writes.push(`${request.method} ${pathname}`);
  }

  note(text: string): void {
    const seconds = (this.clock.monotonic() / 1000).toFixed(0);
    this.log.push(`${seconds.padStart(4)} s  ${text}`);
  }

  /** A second passes; then machines and `user` act, where the server is there to be asked. */
  async second(user?: () => Promise<void>): Promise<void> {
    await this.clock.advance(1000);
    if (!this.server.up && this.clock.monotonic() >= this.#downUntilMs) {
      await this.server.start();
      this.note("the server is back");
    }
    if (!this.server.up) return;
    await this.machines.turn();
    if (user !== undefined) await this.#quietly(user);
  }

  killServer(forMs: number): void {
    this.note(`the server is killed for ${forMs} ms`);
    this.#downUntilMs = this.clock.monotonic() + forMs;
    this.server.kill();
    for (const { faulty } of this.managers) faulty.cutAll();
  }

  /** Everything works again. */
  heal(): void {
    this.note("all is healed");
    for (const { faulty } of this.managers) {
      faulty.rate = 0;
      faulty.slowMs = 0;
      faulty.release();
    }
    this.machines.heal();
  }

  /** One thing goes wrong, or right again. */
  async disturb(): Promise<void> {
    const { chance, machines } = this;
    const { faulty } = chance.pick(this.managers) ?? {};
    const name = chance.pick(machines.shaky) ?? "";
    const resource = chance.pick(HELD) ?? "";
    const some = Object.keys(this.#faults);
    const what = chance.pick(some) ?? "";
    this.note(`${what} (${name}, ${resource})`);
    if (faulty !== undefined) await this.#faults[what]?.({ faulty, name, resource });
    // One shaky machine at least is always there.
    if (machines.cut.size + machines.off.size < machines.shaky.length) return;
    machines.cut.clear();
    machines.off.clear();
  }

  readonly #faults: Readonly<
    Record<
      string,
      (on: { faulty: FaultyFetch; name: string; resource: string }) => void | Promise<void>
    >
  > = {
    "writes fail": ({ faulty }) => {
      faulty.rate = this.chance.pick([0, 0.05, 0.2]) ?? 0;
    },
    "requests are slow": ({ faulty }) => {
      faulty.slowMs = this.chance.pick([0, 500, 3000]) ?? 0;
    },
    "watches are held": ({ faulty, resource }) => void faulty.held.add(resource),
    "one watch goes on": ({ faulty, resource }) => faulty.release(resource),
    "watches go on": ({ faulty }) => faulty.release(),
    "watches are cut": ({ faulty }) => faulty.cutAll(),
    "a machine is cut off": ({ name }) => void this.machines.cut.add(name),
    "the network is mended": () => this.machines.cut.clear(),
    "a machine loses its power": ({ name }) => this.machines.powerOff(name),
    "power is back": () => this.machines.off.clear(),
    "a machine is given up": ({ name }) => this.#giveUp(name),
    "a machine is out of service": ({ name }) => this.#outOfService(name),
    "a manager crashes": () => {
      const manager = this.chance.pick(this.managers);
      manager?.crash();
      manager?.start();
    },
    "the server dies": () => {
      if (this.server.up) this.killServer(this.chance.below(4000));
    },
    "the clock jumps": () => this.clock.jump((this.chance.next() - 0.5) * 20_000),
  };

  /** An operator removes the Node of a machine whose power is gone. */
  async #giveUp(name: string): Promise<void> {
    if (!this.server.up) return;
    this.machines.powerOff(name);
    await this.#quietly(() => this.client.delete(nodes, { name }));
  }

  async #outOfService(name: string): Promise<void> {
    if (!this.server.up) return;
    this.machines.powerOff(name);
    const node = await this.client.get(nodes, { name });
    if (node === undefined) return;
    const taint = { key: OUT_OF_SERVICE, value: "nodeshutdown", effect: "NoExecute" };
    const taints = [...(node.spec?.taints ?? []), taint];
    const { resourceVersion } = node.metadata;
    const body = { metadata: { resourceVersion }, spec: { taints } };
    await this.#quietly(() => this.client.patch(nodes, { name }, "merge", body));
  }

  async #quietly(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
    }
  }
}
