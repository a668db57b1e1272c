/** Keeps this node's policy rules as NetworkPolicies, pods and namespaces have it. */
import type { PodNetwork } from "#agents/network/cni.ts";
import type { PacketWriter } from "#agents/network/packets.ts";
import type { PolicyConfig, PolicyPod, PolicyState } from "#agents/policy/plan.ts";
import { namespaceLabels, planPolicies, policyPod } from "#agents/policy/plan.ts";
import type { Clock } from "#base/clock.ts";
import { keepLevel, type Level } from "#base/level.ts";
import type { Log } from "#base/log.ts";
import type { Caches } from "#client/cache.types.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { networkPolicies } from "#resources/kinds/networkpolicy.ts";
import { pods } from "#resources/kinds/pod.ts";
import type { Pod } from "#resources/types.gen.ts";

export interface PolicyAgentOptions {
  caches: Caches;
  podNetwork: Pick<PodNetwork, "attachments" | "onChange">;
  writers: Partial<Record<PolicyConfig["family"], PacketWriter>>;
  nodeName: string;
  /**
   * The cluster's DNS, which policies know as pods of kube-system with the label k8s-app=kube-dns.
   */
  dnsAddresses: readonly string[];
  /** One bit of the packet mark. Default 0x10000. */
  markBit?: number;
  clock: Clock;
  log: Log;
}

export interface PolicyAgent {
  /** Works until the signal aborts. Rules stay. */
  start(signal: AbortSignal): void;
  settled(): Promise<void>;
}

const MARK_BIT = 0x10000;
const GATHER_MS = 10;

/** What policies look at: most changes of a pod are of no concern. */
function relevant(pod: Pod | undefined): string {
  const { phase, podIPs } = pod?.status ?? {};
  const over = phase === "Succeeded" || phase === "Failed";
  return JSON.stringify([pod?.metadata?.labels, podIPs, over, pod?.spec?.nodeName]);
}

class Agent implements PolicyAgent {
  readonly #options: PolicyAgentOptions;
  #level: Level | undefined;
  #signal: AbortSignal | undefined;
  /** All pods of the cluster are watched from the first policy on: most clusters have none. */
  #watchesPods = false;

  constructor(options: PolicyAgentOptions) {
    this.#options = options;
  }

  start(signal: AbortSignal): void {
    const { caches, podNetwork, clock, log } = this.#options;
    const work = () => this.#settle();
    const level = keepLevel({ clock, log, signal, gatherMs: GATHER_MS, work });
    this.#level = level;
    this.#signal = signal;
    const ends = [
      caches.of(networkPolicies).onChange(() => level.poke()),
      caches.of(namespaces).onChange(() => level.poke()),
      podNetwork.onChange(() => level.poke()),
    ];
    this.#endWith(ends);
    void caches
      .of(networkPolicies)
      .whenSynced()
      .then(() => level.poke());
  }

  async settled(): Promise<void> {
    await this.#options.caches.of(networkPolicies).whenSynced();
    await this.#level?.settled();
  }

  #endWith(ends: ReadonlyArray<() => void>): void {
    const end = () => {
      for (const stop of ends) stop();
    };
    this.#signal?.addEventListener("abort", end, { once: true });
  }

  async #watchPods(): Promise<void> {
    const { caches } = this.#options;
    const cache = caches.of(pods);
    if (!this.#watchesPods) {
      this.#watchesPods = true;
      const listener = cache.onChange(({ before, after }) => {
        if (relevant(before) !== relevant(after)) this.#level?.poke();
      });
      this.#endWith([listener]);
    }
    await cache.whenSynced();
    await caches.of(namespaces).whenSynced();
  }

  async #settle(): Promise<void> {
    const { caches, writers, markBit } = this.#options;
    const policies = caches.of(networkPolicies).list();
    if (policies.length > 0) await this.#watchPods();
    const state: PolicyState = {
      policies,
      pods: policies.length > 0 ? await this.#pods() : [],
      namespaces: namespaceLabels(caches.of(namespaces).list()),
    };
    for (const [family, writer] of Object.entries(writers)) {
      const config = { family: family as PolicyConfig["family"], markBit: markBit ?? MARK_BIT };
      await writer.apply("policy", planPolicies(state, config));
    }
  }

  async #pods(): Promise<PolicyPod[]> {
    const { caches, podNetwork, nodeName, dnsAddresses } = this.#options;
    const attachments = await podNetwork.attachments();
    const attached = new Map(attachments.map(({ podUid, ips }) => [podUid, ips]));
    const found = caches
      .of(pods)
      .list()
      .flatMap((pod) => policyPod(pod, nodeName, attached) ?? []);
    const dns: PolicyPod = {
      namespace: "kube-system",
      name: "kube-dns",
      uid: "kube-dns",
      labels: { "k8s-app": "kube-dns" },
      ips: dnsAddresses,
      here: false,
      ports: new Map([
        ["dns/UDP", [53]],
        ["dns-tcp/TCP", [53]],
      ]),
    };
    return [...found, dns];
  }
}

export function createPolicyAgent(options: PolicyAgentOptions): PolicyAgent {
  return new Agent(options);
}
