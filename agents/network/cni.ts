/**
 * Pod network namespaces: made with `ip netns`, joined to the instance's bridge by the CNI `bridge`
 * and `host-local` plugins, which are run directly. Leases live in an own directory, never the
 * shared /var/lib/cni. Packet rules (masquerade, hostPort) and routes are left to `agent.ts`.
 */
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { addressesOf, bridgeConfig, NETWORK, pluginError } from "#agents/network/bridge.ts";
import type { Flows } from "#agents/network/flows.ts";
import { bridgeName, netnsName, parseNetnsName } from "#agents/network/instance.ts";
import { messageOf } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Run, RunResult } from "#base/process.ts";

export interface PodNetworkOptions {
  run: Run;
  /** Directory of the CNI plugins: `/usr/lib/cni`. */
  cniBinDir: string;
  /** Of this instance; leases and records go to `DIR/network`. */
  dataDir: string;
  /** `""` or `default`, else a name of this instance. */
  instance: string;
  /** Bytes; the plugin's default where left out. */
  mtu?: number;
  /** Pods have addresses of IPv6, too: the node forwards them. */
  ipv6?: boolean;
  log: Log;
  /** Connections to a pod that was detached; they stay where left out. */
  flows?: Flows;
  /** Where `ip netns` keeps its names. */
  netnsDir?: string;
}

export interface PortMapping {
  hostPort: number;
  containerPort: number;
  protocol: "TCP" | "UDP" | "SCTP";
  hostIP?: string;
}

export interface AttachRequest {
  podUid: string;
  /** One for each try to make the pod's sandbox; the lease's name. */
  sandboxId: string;
  /** The node's `spec.podCIDR`; two with a comma for dual-stack. */
  podCidr: string;
  portMappings?: readonly PortMapping[];
}

/** What a pod got, kept on the disk until `detach`. */
export interface PodAttachment {
  podUid: string;
  sandboxId: string;
  ip: string;
  ips: readonly string[];
  netnsPath: string;
  portMappings: readonly PortMapping[];
}

export interface PodNetwork {
  /**
   * Idempotent: an attached sandbox answers what it has. Throws an Error with the plugin's message.
   */
  attach(request: AttachRequest): Promise<PodAttachment>;
  /**
   * Idempotent, also for a sandbox that was never attached or lost its namespace in a power cut.
   */
  detach(sandbox: { podUid: string; sandboxId: string }): Promise<void>;
  /** Every sandbox of this instance that left a namespace or a record, attached whole or half. */
  list(): Promise<ReadonlyArray<{ podUid: string; sandboxId: string; netnsPath: string }>>;
  /** Attached pods with their addresses and host ports. */
  attachments(): Promise<readonly PodAttachment[]>;
  /** After a reboot: nothing that was attached still is; frees all names and leases. */
  reset(): Promise<void>;
  /** For uninstalling: `reset`, and the bridge goes too. */
  clear(): Promise<void>;
  /** Called after an attach, detach or reset. Returns its own end. */
  onChange(listener: () => void): () => void;
  readonly bridge: string;
}

const INTERFACE = "eth0";

function isPodCidr(text: string): boolean {
  return /^[0-9a-fA-F.:]+\/\d{1,3}$/.test(text);
}

async function names(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

class CniPodNetwork implements PodNetwork {
  readonly #options: PodNetworkOptions;
  readonly #netnsDir: string;
  readonly #recordDir: string;
  readonly #leaseDir: string;
  readonly #listeners = new Set<() => void>();
  /** Addresses that pods had before a reboot: they get them again, for others may know them. */
  readonly #before = new Map<string, readonly string[]>();
  /** Calls of one sandbox run one after the other. */
  readonly #tails = new Map<string, Promise<unknown>>();
  readonly bridge: string;
  #prepared: Promise<void> | undefined;
  #records: Promise<Map<string, PodAttachment>> | undefined;

  constructor(options: PodNetworkOptions) {
    this.#options = options;
    this.#netnsDir = options.netnsDir ?? "/run/netns";
    this.#recordDir = `${options.dataDir}/network/attached`;
    this.#leaseDir = `${options.dataDir}/network/${NETWORK}`;
    this.bridge = bridgeName(options.instance);
  }

  attach(request: AttachRequest): Promise<PodAttachment> {
    return this.#inTurn(request.sandboxId, async () => {
      const attached = (await this.#recorded()).get(request.sandboxId);
      if (attached !== undefined && (await exists(attached.netnsPath))) return attached;
      await this.#ready();
      const attachment = await this.#attach(request);
      // Clients of who had the address before are none of this pod's.
      await this.#options.flows?.ended(attachment.ips);
      await this.#keep(attachment);
      this.#changed();
      return attachment;
    });
  }

  detach(sandbox: { podUid: string; sandboxId: string }): Promise<void> {
    return this.#inTurn(sandbox.sandboxId, async () => {
      const { ips = [] } = (await this.#recorded()).get(sandbox.sandboxId) ?? {};
      await this.#remove(sandbox.podUid, sandbox.sandboxId);
      this.#changed();
      // Not waited for: neither the pod's end nor the next one's start depends on it.
      void this.#options.flows?.end(ips.map((ip) => ({ ip, unanswered: false })));
    });
  }

  async list(): Promise<Array<{ podUid: string; sandboxId: string; netnsPath: string }>> {
    const found = new Map<string, { podUid: string; sandboxId: string; netnsPath: string }>();
    for (const name of await this.#namespaces()) {
      const sandbox = parseNetnsName(this.#options.instance, name);
      if (sandbox === undefined) continue;
      found.set(sandbox.sandboxId, { ...sandbox, netnsPath: `${this.#netnsDir}/${name}` });
    }
    for (const record of await this.attachments()) {
      const { podUid, sandboxId, netnsPath } = record;
      if (!found.has(sandboxId)) found.set(sandboxId, { podUid, sandboxId, netnsPath });
    }
    return [...found.values()];
  }

  /** Names of this instance. */
  async #namespaces(): Promise<string[]> {
    const all = await names(this.#netnsDir);
    return all.filter((name) => parseNetnsName(this.#options.instance, name) !== undefined);
  }

  async attachments(): Promise<PodAttachment[]> {
    return [...(await this.#recorded()).values()];
  }

  async reset(): Promise<void> {
    for (const { podUid, ips } of await this.attachments()) this.#before.set(podUid, ips);
    await this.#dropNamespaces();
    await rm(this.#leaseDir, { recursive: true, force: true });
    await rm(this.#recordDir, { recursive: true, force: true });
    this.#records = undefined;
    this.#prepared = undefined;
    this.#changed();
  }

  /** No DEL: a namespace takes its veth along, and the leases go all together. */
  async #dropNamespaces(): Promise<void> {
    const ours = await this.#namespaces();
    if (ours.length === 0) return;
    await this.#ip(["-batch", "-"], ours.map((name) => `netns delete ${name}\n`).join(""));
  }

  async clear(): Promise<void> {
    // Programs may still be in them.
    for (const { podUid, sandboxId } of await this.list()) await this.#remove(podUid, sandboxId);
    await this.reset();
    const shown = await this.#options.run(["ip", "link", "show", "dev", this.bridge]);
    if (shown.exitCode === 0) await this.#ip(["link", "delete", "dev", this.bridge]);
    await rm(`${this.#options.dataDir}/network`, { recursive: true, force: true });
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  #inTurn<T>(sandboxId: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(sandboxId) ?? Promise.resolve();
    const turn = before.then(work, work);
    const tail = turn.catch(() => {});
    this.#tails.set(sandboxId, tail);
    void tail.then(() => {
      if (this.#tails.get(sandboxId) === tail) this.#tails.delete(sandboxId);
    });
    return turn;
  }

  async #ready(): Promise<void> {
    this.#prepared ??= this.#prepare();
    try {
      await this.#prepared;
    } catch (error) {
      this.#prepared = undefined;
      throw error;
    }
  }

  /** Best effort: modules may be built in, and some sysctls missing without IPv6. */
  async #prepare(): Promise<void> {
    await mkdir(this.#recordDir, { recursive: true });
    const { run, log } = this.#options;
    try {
      await run(["modprobe", "-q", "br_netfilter"]);
    } catch (error) {
      log.debug("modprobe failed", { error: messageOf(error) });
    }
    const on = await run(
      [
        "tee",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/net/bridge/bridge-nf-call-iptables",
        "/proc/sys/net/bridge/bridge-nf-call-ip6tables",
      ],
      { stdin: "1\n" },
    );
    if (on.exitCode !== 0) log.warn("sysctl not set", { error: on.stderr.trim() });
    if (this.#options.ipv6 === true) await this.#forwardIpv6();
  }

  /**
   * A kernel that forwards stops listening to routers unless it is told to go on (accept_ra 2,
   * Linux' ip-sysctl): the machine would lose its own address.
   */
  async #forwardIpv6(): Promise<void> {
    const { run, log } = this.#options;
    const files = await run([
      "grep",
      "-lx",
      "-r",
      "1",
      "/proc/sys/net/ipv6/conf",
      "--include=accept_ra",
    ]);
    const listening = files.stdout.split("\n").filter((path) => path !== "");
    if (listening.length > 0) await run(["tee", ...listening], { stdin: "2\n" });
    const on = await run(["tee", "/proc/sys/net/ipv6/conf/all/forwarding"], { stdin: "1\n" });
    if (on.exitCode !== 0) log.warn("IPv6 is not forwarded", { error: on.stderr.trim() });
  }

  async #attach(request: AttachRequest): Promise<PodAttachment> {
    const { podUid, sandboxId, podCidr } = request;
    if (!podCidr.split(",").every(isPodCidr))
      throw new Error(`node has no pod CIDR ("${podCidr}")`);
    let failure = "";
    // Two tries: the first pod on a new bridge at times meets "could not set bridge's mac".
    for (let attempt = 1; attempt <= 2; attempt++) {
      const name = netnsName(this.#options.instance, podUid, sandboxId);
      const netnsPath = `${this.#netnsDir}/${name}`;
      if (attempt > 1 || (await exists(netnsPath))) await this.#remove(podUid, sandboxId);
      await this.#ip(["netns", "add", name]);
      const [result] = await Promise.all([
        this.#plugin("ADD", sandboxId, netnsPath, podCidr, this.#wanted(podUid)),
        this.#loopbackUp(name, netnsPath),
      ]);
      if (result.exitCode === 0) {
        const ips = addressesOf(result.stdout);
        const ip = ips[0];
        if (ip !== undefined) {
          const portMappings = request.portMappings ?? [];
          return { podUid, sandboxId, ip, ips, netnsPath, portMappings };
        }
      }
      failure = pluginError(result);
      this.#options.log.warn("pod network not attached", { pod: podUid, attempt, error: failure });
    }
    await this.#remove(podUid, sandboxId);
    throw new Error(`attach pod network: ${failure}`);
  }

  /** Asked for once: somebody else may have it by now. */
  #wanted(podUid: string): string | undefined {
    const ips = this.#before.get(podUid);
    this.#before.delete(podUid);
    return ips?.length === 1 ? ips[0] : undefined;
  }

  /** DEL also after a failed ADD: it leaves its veth on the bridge and its lease taken. */
  async #remove(podUid: string, sandboxId: string): Promise<void> {
    const name = netnsName(this.#options.instance, podUid, sandboxId);
    const netnsPath = `${this.#netnsDir}/${name}`;
    const there = await exists(netnsPath);
    const result = await this.#plugin("DEL", sandboxId, there ? netnsPath : "", "0.0.0.0/0");
    if (result.exitCode !== 0) throw new Error(`detach pod network: ${pluginError(result)}`);
    if (there) await this.#ip(["netns", "delete", name]);
    await rm(`${this.#recordDir}/${sandboxId}.json`, { force: true });
    (await this.#recorded()).delete(sandboxId);
  }

  async #plugin(
    command: "ADD" | "DEL",
    sandboxId: string,
    netnsPath: string,
    podCidr: string,
    wantedIp?: string,
  ): Promise<RunResult> {
    const { run, cniBinDir } = this.#options;
    return run([`${cniBinDir}/bridge`], {
      stdin: bridgeConfig(this.#options, podCidr),
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: sandboxId,
        CNI_NETNS: netnsPath,
        CNI_IFNAME: INTERFACE,
        CNI_PATH: cniBinDir,
        ...(wantedIp !== undefined && { CNI_ARGS: `IgnoreUnknown=1;IP=${wantedIp}` }),
      },
    });
  }

  /** Not `ip -n`: that makes a mount namespace too, which a confined service may not. */
  async #loopbackUp(name: string, netnsPath: string): Promise<void> {
    const up = ["ip", "link", "set", "lo", "up"];
    const result = await this.#options.run(["nsenter", `--net=${netnsPath}`, ...up]);
    if (result.exitCode !== 0) throw new Error(`${up.join(" ")} in ${name}: ${result.stderr}`);
  }

  async #ip(args: readonly string[], stdin?: string): Promise<void> {
    const result = await this.#options.run(["ip", ...args], stdin === undefined ? {} : { stdin });
    if (result.exitCode === 0) return;
    throw new Error(`ip ${args.join(" ")}: ${result.stderr.trim() || `exit ${result.exitCode}`}`);
  }

  /** All records, read from the disk once. */
  #recorded(): Promise<Map<string, PodAttachment>> {
    this.#records ??= this.#readRecords();
    return this.#records;
  }

  async #readRecords(): Promise<Map<string, PodAttachment>> {
    const records = new Map<string, PodAttachment>();
    for (const file of await names(this.#recordDir)) {
      if (!file.endsWith(".json")) continue;
      const path = `${this.#recordDir}/${file}`;
      try {
        const record = JSON.parse(await readFile(path, "utf8")) as PodAttachment;
        records.set(record.sandboxId, record);
      } catch (error) {
        this.#options.log.warn("unreadable record of a pod", { path, error: messageOf(error) });
      }
    }
    return records;
  }

  async #keep(attachment: PodAttachment): Promise<void> {
    const path = `${this.#recordDir}/${attachment.sandboxId}.json`;
    await writeFile(`${path}.new`, JSON.stringify(attachment));
    await rename(`${path}.new`, path);
    (await this.#recorded()).set(attachment.sandboxId, attachment);
  }
}

export function createPodNetwork(options: PodNetworkOptions): PodNetwork {
  return new CniPodNetwork(options);
}
