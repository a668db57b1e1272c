/**
 * A LAN of nodes out of network namespaces, for tests with real packets: a switch, nodes with an
 * own kernel network each, a client, and pods made by the product's own CNI code. No containers.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createPodNetwork,
  type PodAttachment,
  type PodNetwork,
  type PortMapping,
} from "#agents/network/cni.ts";
import { createFlows, type Flows } from "#agents/network/flows.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { type Run, runProcess } from "#base/process.ts";

export interface SiteNode {
  name: string;
  address: string;
  podCidr: string;
  netns: string;
  run: Run;
  pods: PodNetwork;
  flows: Flows;
}

export type SitePod = PodAttachment & { run: Run; stop(): Promise<void> };

export interface Site {
  nodes: readonly SiteNode[];
  /** A machine on the LAN that is no node. */
  client: { address: string; run: Run };
  /** A pod with a server: `GET /` answers its name, UDP echoes it, both on 8080. */
  pod(node: SiteNode, name: string, portMappings?: readonly PortMapping[]): Promise<SitePod>;
  close(): Promise<void>;
}

const SERVER = join(import.meta.dir, "server.ts");

export const inNetns =
  (path: string): Run =>
  (argv, options) =>
    runProcess(["nsenter", `--net=${path}`, ...argv], options);

/** Runs and throws where the exit status is not 0. */
export async function must(run: Run, argv: readonly string[], stdin?: string): Promise<string> {
  const result = await run(argv, stdin === undefined ? {} : { stdin });
  if (result.exitCode === 0) return result.stdout;
  throw new Error(`${argv.join(" ")}: ${result.stderr || result.stdout}`);
}

class LanSite implements Site {
  readonly nodes: SiteNode[] = [];
  client = { address: "192.168.50.99", run: runProcess };
  readonly #id = crypto.randomUUID().slice(0, 6);
  readonly #dir = mkdtempSync(join(tmpdir(), "bramble-net-"));
  #ipv6 = false;
  readonly #servers: Array<{ kill(): void; exited: Promise<number> }> = [];

  async open(count: number, pods: { mtu?: number; ipv6?: boolean }): Promise<this> {
    this.#ipv6 = pods.ipv6 === true;
    await must(runProcess, ["ip", "netns", "add", this.#netns("sw")]);
    await must(this.#in("sw"), ["ip", "link", "add", "br0", "type", "bridge"]);
    await must(this.#in("sw"), ["ip", "link", "set", "br0", "up"]);
    for (let i = 1; i <= count; i++) {
      const name = `n${i}`;
      await this.#machine(name, `192.168.50.${i}`);
      const run = this.#in(name);
      const flows = createFlows({ run, clock: realClock, log: silentLog });
      const network = createPodNetwork({
        run,
        flows,
        cniBinDir: "/usr/lib/cni",
        dataDir: join(this.#dir, name),
        instance: `${this.#id}${i}`,
        log: silentLog,
        ...pods,
      });
      const podCidr = `10.42.${i}.0/24${this.#ipv6 ? `,fd00:42:0:${i}::/64` : ""}`;
      const address = `192.168.50.${i}`;
      const netns = this.#netns(name);
      this.nodes.push({ name, address, podCidr, netns, run, pods: network, flows });
    }
    await this.#machine("lan", this.client.address);
    this.client.run = this.#in("lan");
    return this;
  }

  async pod(
    node: SiteNode,
    name: string,
    portMappings: readonly PortMapping[] = [],
  ): Promise<SitePod> {
    const request = { podUid: name, sandboxId: `${name}-0`, podCidr: node.podCidr, portMappings };
    const attachment = await node.pods.attach(request);
    const child = Bun.spawn(
      [
        "nsenter",
        `--net=${attachment.netnsPath}`,
        process.execPath,
        SERVER,
        name,
        this.#ipv6 ? "::" : "0.0.0.0",
      ],
      { stdout: "pipe", stderr: "inherit" },
    );
    this.#servers.push(child);
    await child.stdout.getReader().read();
    const stop = async () => {
      child.kill();
      await child.exited;
    };
    return { ...attachment, run: inNetns(attachment.netnsPath), stop };
  }

  async close(): Promise<void> {
    for (const server of this.#servers) server.kill();
    await Promise.all(this.#servers.map((server) => server.exited));
    for (const node of this.nodes) await node.pods.clear();
    for (const name of ["lan", ...this.nodes.map((node) => node.name), "sw"]) {
      await runProcess(["ip", "netns", "delete", this.#netns(name)]);
    }
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #netns(name: string): string {
    return `site-${this.#id}-${name}`;
  }

  #in(name: string): Run {
    return inNetns(`/run/netns/${this.#netns(name)}`);
  }

  async #machine(name: string, address: string): Promise<void> {
    const netns = this.#netns(name);
    await must(runProcess, ["ip", "netns", "add", netns]);
    const peer = ["peer", "name", name, "netns", this.#netns("sw")];
    await must(this.#in(name), ["ip", "link", "add", "eth0", "type", "veth", ...peer]);
    await must(this.#in("sw"), ["ip", "link", "set", name, "master", "br0", "up"]);
    await must(this.#in(name), ["ip", "link", "set", "lo", "up"]);
    await must(this.#in(name), ["ip", "address", "add", `${address}/24`, "dev", "eth0"]);
    await must(this.#in(name), ["ip", "link", "set", "eth0", "up"]);
    if (this.#ipv6) {
      const v6 = `${v6Of(address)}/64`;
      await must(this.#in(name), ["ip", "address", "add", v6, "dev", "eth0", "nodad"]);
      const gateway = v6Of(this.client.address);
      await must(this.#in(name), ["ip", "-6", "route", "add", "default", "via", gateway]).catch(
        () => "",
      );
    }
    await must(this.#in(name), ["ip", "route", "add", "default", "via", "192.168.50.99"]).catch(
      () => "",
    );
  }
}

/** The second address of a machine on a site with both families. */
export const v6Of = (address: string): string => `fd00:50::${address.split(".")[3]}`;

/** `pods.mtu`: bytes, of the pods' interfaces. */
export async function openSite(
  nodes: number,
  pods: { mtu?: number; ipv6?: boolean } = {},
): Promise<Site> {
  const site = new LanSite();
  try {
    return await site.open(nodes, pods);
  } catch (error) {
    await site.close();
    throw error;
  }
}
