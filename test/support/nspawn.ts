/**
 * Small Debians with systemd as PID 1 on a switch of their own, by `test/lab/nspawn-up`. Two runs
 * go side by side: names, switch and disks carry the number of this process.
 */
import { join } from "node:path";
import { mustRun, run } from "#test/support/instance.ts";
import type { Result } from "#test/support/lab.ts";

const NSPAWN = join(import.meta.dir, "../lab/nspawn-up");
const DISKS = `${process.env["LAB_DIR"] ?? "/var/lib/lab"}/nspawn`;
/** The base system is made once, of packages from the network. */
const UP_MS_MAX = 400_000;
const COMMAND_MS_MAX = 90_000;

export interface Machine {
  readonly name: string;
  readonly address: string;
  /** Its disk, as this machine sees it. */
  readonly disk: string;
  /** A shell script, as root in it. */
  exec(script: string): Promise<Result>;
  /** As `exec`, but throws for a status other than 0; answers stdout. */
  must(script: string): Promise<string>;
  /** Orderly shutdown. */
  off(): Promise<void>;
  /** Power cut. */
  cut(): Promise<void>;
  boot(): Promise<void>;
}

export interface Site {
  readonly machines: readonly Machine[];
  /** A command as another computer on their switch runs it; answers stdout. @throws Error */
  onLan(argv: readonly string[]): Promise<string>;
  close(): Promise<void>;
}

interface SpawnOptions {
  name: string;
  address: string;
  netns: string;
  plain: boolean;
  packages: readonly string[];
}

class SpawnedMachine implements Machine {
  readonly name: string;
  readonly address: string;
  readonly #netns: string;
  readonly #plain: boolean;
  readonly #packages: readonly string[];

  constructor(options: SpawnOptions) {
    this.name = options.name;
    this.address = options.address;
    this.#netns = options.netns;
    this.#plain = options.plain;
    this.#packages = options.packages;
  }

  get disk(): string {
    return `${DISKS}/${this.name}`;
  }

  exec(script: string): Promise<Result> {
    return run([NSPAWN, "exec", this.name, "--", "bash", "-c", script], {
      timeoutMs: COMMAND_MS_MAX,
    });
  }

  async must(script: string): Promise<string> {
    const { exitCode, stdout, stderr } = await this.exec(script);
    if (exitCode !== 0) throw new Error(`${this.name}: status ${exitCode}: ${stdout}${stderr}`);
    return stdout;
  }

  async off(): Promise<void> {
    await mustRun([NSPAWN, "off", this.name], { timeoutMs: COMMAND_MS_MAX });
  }

  async cut(): Promise<void> {
    await mustRun([NSPAWN, "cut", this.name], { timeoutMs: COMMAND_MS_MAX });
  }

  async boot(): Promise<void> {
    const argv = [NSPAWN, "up", this.name, "--net", `netns:${this.#netns}`];
    if (this.#plain) argv.push("--plain");
    if (this.#packages.length > 0) argv.push("--include", this.#packages.join());
    await mustRun(argv, { timeoutMs: UP_MS_MAX });
  }

  async down(): Promise<void> {
    await mustRun([NSPAWN, "down", this.name], { timeoutMs: COMMAND_MS_MAX });
  }
}

/**
 * Machines of a small Debian without any package but `packages`, booted; `plain` ones have no
 * systemd that runs, and no orderly shutdown.
 */
export async function startSite(
  names: readonly string[],
  { plain = false, packages = [] }: { plain?: boolean; packages?: readonly string[] } = {},
): Promise<Site> {
  const hub = `bsite${process.pid}${plain ? "p" : ""}`;
  const machines: SpawnedMachine[] = [];
  const spaces: string[] = [];
  const close = async () => {
    const downs = await Promise.allSettled(machines.map((machine) => machine.down()));
    for (const space of spaces.reverse()) await run(["ip", "netns", "del", space]);
    for (const down of downs) if (down.status === "rejected") throw down.reason;
  };
  try {
    const space = async (name: string) => {
      await mustRun(["ip", "netns", "add", name]);
      spaces.push(name);
    };
    const ip = (...argv: string[]) => mustRun(["ip", "-n", ...argv]);
    await space(hub);
    await ip(hub, "link", "add", "br0", "type", "bridge");
    await ip(hub, "address", "add", "192.168.91.1/24", "dev", "br0");
    await ip(hub, "link", "set", "br0", "up");
    for (const [i, name] of names.entries()) {
      const netns = `${hub}-${i}`;
      await space(netns);
      await ip(hub, "link", "add", `p${i}`, "type", "veth", "peer", "name", "eth0", "netns", netns);
      await ip(hub, "link", "set", `p${i}`, "master", "br0", "up");
      const address = `192.168.91.${i + 11}`;
      await ip(netns, "address", "add", `${address}/24`, "dev", "eth0");
      await ip(netns, "link", "set", "lo", "up");
      await ip(netns, "link", "set", "eth0", "up");
      await ip(netns, "route", "add", "default", "via", "192.168.91.1");
      const own = `${name}${process.pid}`;
      machines.push(new SpawnedMachine({ name: own, address, netns, plain, packages }));
    }
    await Promise.all(machines.map((machine) => machine.boot()));
    const onLan = (argv: readonly string[]) => mustRun(["ip", "netns", "exec", hub, ...argv]);
    return { machines, onLan, close };
  } catch (error) {
    await close();
    throw error;
  }
}
