/** Gathers the doctor's facts of this machine. Nothing here changes anything. */
import { existsSync, readFileSync, statfsSync } from "node:fs";
import { totalmem } from "node:os";
import { dirname } from "node:path";
import { isInside } from "#agents/discovery/link.ts";
import { messageOf } from "#base/errors.ts";
import { readText } from "#base/files.ts";
import { runProcess } from "#base/process.ts";
import { findProgram } from "#base/programs.ts";
import type { ServerSettings } from "../settings.ts";
import type { Facts, Listener } from "./facts.ts";

const COMMAND_MS_MAX = 10_000;
/** To containerd, which is busy for some seconds after a start from a card. */
const CONNECT = "5s";
const CNI_PLUGINS = ["bridge", "host-local", "loopback"];
const MODULES = ["overlay", "br_netfilter", "nf_conntrack", "vxlan"];
/** A module that is built in may have no folder of its own; these are there with it. */
const MODULE_FILES: Readonly<Record<string, string>> = {
  br_netfilter: "/proc/sys/net/bridge",
  nf_conntrack: "/proc/sys/net/netfilter/nf_conntrack_max",
};
const BOOT_COMMAND_LINES = ["/boot/firmware/cmdline.txt", "/boot/cmdline.txt"];
const AT_PAGESZ = 6n;

/** What a program says, or why it failed; neither where there is none. */
async function answer(...argv: string[]): Promise<{ said?: string; failure?: string }> {
  if (findProgram(argv[0] ?? "") === null) return {};
  try {
    const options = { timeoutMs: COMMAND_MS_MAX, env: { LC_ALL: "C" } };
    const { exitCode, stdout, stderr } = await runProcess(argv, options);
    if (exitCode === 0) return { said: stdout.trim() };
    return { failure: stderr.trim().split("\n")[0] || `status ${exitCode}` };
  } catch (error) {
    return { failure: messageOf(error) };
  }
}

/** Undefined where there is no such program or it failed. */
const said = async (...argv: string[]): Promise<string | undefined> => (await answer(...argv)).said;

function controllers(): string[] {
  const unified = readText("/sys/fs/cgroup/cgroup.controllers");
  if (unified !== undefined && unified.trim() !== "") return unified.trim().split(" ");
  const rows = (readText("/proc/cgroups") ?? "").split("\n").map((line) => line.split(/\s+/));
  return rows.filter((row) => row[3] === "1").map((row) => row[0] ?? "");
}

async function modules(): Promise<string[]> {
  const release = readFileSync("/proc/sys/kernel/osrelease", "utf8").trim();
  const builtin = readText(`/lib/modules/${release}/modules.builtin`) ?? "";
  const fileSystems = readText("/proc/filesystems") ?? "";
  const isThere = async (name: string): Promise<boolean> =>
    existsSync(`/sys/module/${name}`) ||
    existsSync(MODULE_FILES[name] ?? "/nonexistent") ||
    builtin.includes(`/${name}.ko`) ||
    fileSystems.includes(`\t${name}\n`) ||
    // A link of that kind can be made without the module's folder where it is built in.
    (name === "vxlan" && !existsSync(`/lib/modules/${release}`));
  const found = await Promise.all(MODULES.map(isThere));
  return MODULES.filter((_, i) => found[i]);
}

function bootCommandLine(): Facts["bootCommandLine"] {
  for (const path of BOOT_COMMAND_LINES) {
    const text = readText(path);
    // The old place only says where the file is now.
    if (text !== undefined && /\broot=/.test(text)) return { path, text: text.trim() };
  }
  return undefined;
}

function pageBytes(): number {
  const words = new BigUint64Array(new Uint8Array(readFileSync("/proc/self/auxv")).buffer);
  for (let at = 0; at + 1 < words.length; at += 2) {
    if (words[at] === AT_PAGESZ) return Number(words[at + 1]);
  }
  return 4096;
}

function swaps(): Facts["swaps"] {
  const rows = (readText("/proc/swaps") ?? "").trim().split("\n").slice(1);
  return rows
    .map((row) => row.split(/\s+/))
    .map((row) => ({ name: row[0] ?? "", bytes: Number(row[2]) * 1024 }));
}

/** Of the folder, or of the nearest one above it that is there. */
function disk(path: string): Facts["disk"] {
  let there = path;
  while (!existsSync(there)) there = dirname(there);
  const { bsize, bavail, blocks } = statfsSync(there);
  const mounts = (readText("/proc/self/mounts") ?? "").split("\n").map((line) => line.split(" "));
  let [device = "", fileSystem = "", point = ""]: string[] = [];
  for (const [source = "", on = "", type = ""] of mounts) {
    const isAbove = on === "/" || there === on || there.startsWith(`${on}/`);
    if (isAbove && on.length >= point.length) [device, fileSystem, point] = [source, type, on];
  }
  return { path, fileSystem, device, freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}

async function listeners(): Promise<Listener[]> {
  const lines = ((await said("ss", "-lntupH")) ?? "").split("\n");
  return lines.flatMap((line): Listener[] => {
    const [protocol, , , , local = ""] = line.split(/\s+/);
    const program = /users:\(\("([^"]+)"/.exec(line)?.[1] ?? "another program";
    if (protocol !== "tcp" && protocol !== "udp") return [];
    return [{ protocol, port: Number(local.slice(local.lastIndexOf(":") + 1)), program }];
  });
}

/** A link that is down is an empty object in what `ip` answers. */
interface LinkReply {
  ifname?: string;
  mtu?: number;
  flags?: string[];
}

/** Those that are up and no part of a cluster. */
async function links(): Promise<Facts["links"]> {
  const routes = (readText("/proc/net/route") ?? "").split("\n").map((line) => line.split("\t"));
  const first = routes.find((route) => route[1] === "00000000")?.[0];
  const all = JSON.parse((await said("ip", "-j", "link", "show", "up")) ?? "[]") as LinkReply[];
  return all.flatMap(({ ifname: name, mtu = 0, flags = [] }) => {
    if (name === undefined || /^(?:lo$|brlocal)/.test(name) || isInside(name)) return [];
    return [{ name, mtu, multicast: flags.includes("MULTICAST"), isDefault: name === first }];
  });
}

function legacyTables(): string {
  try {
    return (readText("/proc/net/ip_tables_names") ?? "").trim();
  } catch {
    // Root alone may read it, and see rules.
    return "";
  }
}

/** Rules of the back end that `iptables` is not. */
async function strayRules(iptables: string | undefined): Promise<number> {
  if (iptables === undefined) return 0;
  const isNft = iptables.includes("nf_tables");
  // Asking the legacy one would load its tables; where they are not, it has no rules.
  if (isNft && legacyTables() === "") return 0;
  const saved = await said(isNft ? "iptables-legacy-save" : "iptables-nft-save");
  return (saved?.match(/^-A /gm) ?? []).length;
}

function ports(role: Facts["role"], settings: ServerSettings): Facts["ports"] {
  if (role === "agent") return [];
  return [{ protocol: "tcp", port: settings.httpsPort, setting: "--https-port" }];
}

type Programs =
  | ("iptables" | "iptablesFailure" | "conntrack")
  | ("containerd" | "runc" | "nerdctl" | "cni");

async function programs(settings: ServerSettings): Promise<Pick<Facts, Programs>> {
  const { containerdAddress: address, nerdctl, cniBinDir } = settings;
  // Where nothing answers, ctr would wait for as long as a command may take.
  const ctr = ["ctr", "--connect-timeout", CONNECT, "--address", address, "version"];
  const version = existsSync(address) ? await said(...ctr) : undefined;
  const server = version?.slice(version.indexOf("Server:"));
  const missing = CNI_PLUGINS.filter((name) => !existsSync(`${cniBinDir}/${name}`));
  const iptables = await answer("iptables", "--version");
  return {
    iptables: iptables.said,
    iptablesFailure: iptables.failure,
    containerd: {
      address,
      installed: findProgram("containerd") !== null,
      version: /Version: +(\S+)/.exec(server ?? "")?.[1],
    },
    runc: findProgram("runc") !== null,
    nerdctl: {
      program: nerdctl,
      version: /\d\S*/.exec((await said(nerdctl, "--version")) ?? "")?.[0],
    },
    cni: { folder: cniBinDir, missing },
    conntrack: findProgram("conntrack") !== null,
  };
}

async function clock(): Promise<Pick<Facts, "clockIsSynchronized" | "canSynchronize">> {
  const text = (await said("timedatectl", "show")) ?? "";
  const found = /^NTPSynchronized=(yes|no)$/m.exec(text)?.[1];
  return {
    clockIsSynchronized: found === undefined ? undefined : found === "yes",
    canSynchronize: /^CanNTP=yes$/m.test(text),
  };
}

const linesOf = (text = ""): string[] => text.split("\n").map((line) => line.trim());
const wordsOf = (text = ""): string[] => text.split(/\s+/).filter(Boolean);

async function firewall(): Promise<Facts["firewall"]> {
  const ufw = await said("ufw", "status");
  const firewalld = await said("firewall-cmd", "--state");
  const ask = (...words: string[]) => said("firewall-cmd", "--permanent", ...words);
  return {
    ufw: ufw?.startsWith("Status: active")
      ? linesOf(await said("ufw", "show", "added"))
      : undefined,
    firewalld:
      firewalld === "running"
        ? {
            ports: wordsOf(await ask("--list-ports")),
            trusted: wordsOf(await ask("--zone=trusted", "--list-sources")),
          }
        : undefined,
  };
}

export async function observe(
  settings: ServerSettings,
  role: Facts["role"],
  nowMs: number,
): Promise<Facts> {
  const found = await programs(settings);
  return {
    ...found,
    ...(await clock()),
    role,
    isRoot: process.getuid?.() === 0,
    hasSystemd: existsSync("/run/systemd/system"),
    hasApt: findProgram("apt-get") !== null,
    controllers: controllers(),
    bootCommandLine: bootCommandLine(),
    kernelCommandLine: readText("/proc/cmdline") ?? "",
    modules: await modules(),
    strayRules: await strayRules(found.iptables),
    swaps: swaps(),
    memoryBytes: totalmem(),
    pageBytes: pageBytes(),
    disk: disk(settings.dataDir),
    nowMs,
    listeners: await listeners(),
    ports: ports(role, settings),
    network: settings.network,
    links: await links(),
    firewall: await firewall(),
    clusterCidr: settings.clusterCidr,
    serviceCidr: settings.serviceCidr,
  };
}
