/** A local cluster in one word: made, started, stopped and deleted, with each step said. */
import { existsSync, mkdirSync, rmdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { sleep } from "#base/clock.ts";
import { OperatorError } from "#base/errors.ts";
import { readText, writeDurably } from "#base/files.ts";
import { limits } from "#base/limits.ts";
import { runProcess } from "#base/process.ts";
import { findProgram } from "#base/programs.ts";
import { connect } from "#cli/connect.ts";
import { nodes as nodeKind } from "#resources/kinds/node.ts";
import type { Surroundings } from "../control.ts";
import { checkPort } from "../preflight.ts";
import { renamed, withContext, withoutContext } from "./context.ts";
import { raiseLan, removeLan } from "./lan.ts";
import * as profiles from "./profile.ts";
import * as programs from "./programs.ts";

type Profile = profiles.Profile;
type LocalNode = profiles.LocalNode;

export interface LocalOptions {
  around: Surroundings;
  env: Readonly<Record<string, string | undefined>>;
  /** One line of progress. */
  say(text: string): void;
}

/** Made by install.sh where the machine's own is missing or too old. */
const BROUGHT_NERDCTL = "/usr/local/lib/bramble/nerdctl";
const FIRST_PORT = 6443;

async function freePort(taken: readonly number[]): Promise<number> {
  for (let port = FIRST_PORT; port < FIRST_PORT + limits.localPortsMax; port++) {
    if (taken.includes(port)) continue;
    try {
      await checkPort({ httpsPort: port });
      return port;
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error;
    }
  }
  throw new OperatorError(`no port is free from ${FIRST_PORT} on`);
}

export interface Wanted {
  name: string;
  nodes: number | undefined;
  containerd: string | undefined;
}

async function makeProfile(wanted: Wanted): Promise<Profile> {
  const others = profiles.listProfiles();
  const { stdout: routes } = await runProcess(["ip", "route"]);
  const shared = wanted.containerd ?? programs.SHARED_CONTAINERD;
  const isThere = await programs.answers(shared);
  if (wanted.containerd !== undefined && !isThere) {
    throw new OperatorError(`containerd does not answer on ${shared}`);
  }
  const taken = others.map(({ number }) => number);
  const profile: Profile = {
    name: wanted.name,
    number: profiles.freeNumber(taken, routes),
    nodes: wanted.nodes ?? 1,
    httpsPort: await freePort(others.map(({ httpsPort }) => httpsPort)),
    ...(isThere && { containerd: shared }),
  };
  profiles.saveProfile(profile);
  return profile;
}

function serverFlags(profile: Profile, node: LocalNode): string[] {
  const { pods, services } = profiles.rangesOf(profile.number);
  return [
    ...["server", "--https-port", String(profile.httpsPort), "--cluster-cidr", pods],
    ...["--service-cidr", services, "--cluster-dns", services.replace(/0\.0\/16$/, "0.10")],
    ...(profile.nodes > 1 ? ["--node-ip", node.address] : []),
    ...["--disable", "discovery"],
  ];
}

function nodeFlags(node: LocalNode): string[] {
  const nerdctl = findProgram("nerdctl") ?? BROUGHT_NERDCTL;
  return [
    ...["--data-dir", node.dataDir, "--node-name", node.name, "--nerdctl", nerdctl],
    ...["--containerd-address", node.containerd, "--containerd-namespace", node.namespace],
  ];
}

const serverOf = (profile: Profile): LocalNode => {
  const first = profiles.nodesOf(profile)[0];
  if (first === undefined) throw new OperatorError("a cluster needs a node");
  return first;
};

export const kubeconfigOf = (profile: Profile): string =>
  join(serverOf(profile).dataDir, "kubeconfig");

/** The user's: the first of $KUBECONFIG, or the usual place. */
const userFile = (env: LocalOptions["env"]): string =>
  env["KUBECONFIG"]?.split(":")[0] || join(env["HOME"] ?? "/root", ".kube/config");

function mergeContext(profile: Profile, env: LocalOptions["env"]): string {
  const path = userFile(env);
  const url = `https://127.0.0.1:${profile.httpsPort}`;
  const own = renamed(readText(kubeconfigOf(profile)) ?? "", url, profile.name);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeDurably(path, withContext(readText(path), own, profile.name));
  return path;
}

function dropContext(profile: Profile, env: LocalOptions["env"]): void {
  const path = userFile(env);
  const text = readText(path);
  if (text === undefined) return;
  const left = withoutContext(text, profile.name);
  if (left === undefined) rmSync(path);
  else writeDurably(path, left);
}

/** Names of nodes that are Ready; none where the API does not answer. */
export async function readyNodes(profile: Profile): Promise<string[]> {
  const file = kubeconfigOf(profile);
  if (!existsSync(file)) return [];
  try {
    const { client } = connect({ kubeconfig: file, env: {} });
    const { items } = await client.list(nodeKind, {});
    const isReady = (type: string, status: string) => type === "Ready" && status === "True";
    return items
      .filter(({ status }) => status?.conditions?.some((c) => isReady(c.type, c.status)))
      .map(({ metadata }) => metadata.name);
  } catch {
    // Not up yet, or stopped: both are what was asked.
    return [];
  }
}

async function waitReady(profile: Profile, names: readonly string[], { around }: LocalOptions) {
  const endMs = around.clock.monotonic() + limits.localStartMsMax;
  for (;;) {
    const ready = await readyNodes(profile);
    if (names.every((name) => ready.includes(name))) return;
    if (around.clock.monotonic() > endMs) {
      const late = names.filter((name) => !ready.includes(name));
      const hint = `see ${programs.logOf(serverOf(profile))}`;
      throw new OperatorError(`not ready: ${late.join(", ")}`, { hint });
    }
    await sleep(around.clock, limits.localLookMs);
  }
}

async function joinToken(profile: Profile): Promise<string> {
  const argv = [process.execPath, "token", "create", "--ttl", "1h", "--kubeconfig"];
  const { exitCode, stdout, stderr } = await runProcess([...argv, kubeconfigOf(profile)]);
  if (exitCode !== 0) throw new OperatorError(`no token: ${stderr.trim()}`);
  return stdout.trim();
}

export async function startCluster(wanted: Wanted, options: LocalOptions): Promise<void> {
  const { say, around } = options;
  const known = profiles.loadProfile(wanted.name);
  if (known !== undefined && wanted.nodes !== undefined && wanted.nodes !== known.nodes) {
    throw new OperatorError(`the cluster "${known.name}" has ${known.nodes} nodes`, {
      hint: "bramble delete it first, or leave --nodes out",
    });
  }
  const profile = known ?? (await makeProfile(wanted));
  const [server, ...others] = profiles.nodesOf(profile);
  if (server === undefined) throw new OperatorError("a cluster needs a node");
  say(`${known === undefined ? "Creating" : "Starting"} the cluster "${profile.name}"`);
  await raiseLan(profile);
  if (profile.containerd === undefined) say("Starting a containerd of its own");
  await programs.startContainerd(server, around.clock);
  say(`Starting the control plane on port ${profile.httpsPort}`);
  const flags = [...serverFlags(profile, server), ...nodeFlags(server)];
  await programs.startNodeProcess(server, flags, around.clock);
  await waitReady(profile, [server.name], options);
  const token = others.length === 0 ? "" : await joinToken(profile);
  for (const node of others) {
    say(`Starting the node ${node.name}`);
    await programs.startContainerd(node, around.clock);
    const url = `https://${server.address}:${profile.httpsPort}`;
    const join = ["--token", token, "--server", url, "--node-ip", node.address];
    await programs.startNodeProcess(node, ["agent", ...join, ...nodeFlags(node)], around.clock);
  }
  const names = [server, ...others].map(({ name }) => name);
  await waitReady(profile, names, options);
  const path = mergeContext(profile, options.env);
  say(`Done: ${names.length === 1 ? "the node is" : `${names.length} nodes are`} ready`);
  say(`kubectl and bramble use it from now on (context "${profile.name}" in ${path})`);
}

/** The nodes first, so that their pods can end; then what ran them. */
export async function stopCluster(profile: Profile, { say, around }: LocalOptions): Promise<void> {
  const all = profiles.nodesOf(profile).reverse();
  for (const node of all) {
    say(`Stopping the node ${node.name} and its pods`);
    await programs.stopNodeProcess(node, around.clock);
  }
  for (const node of all) await programs.stopContainerd(node, around.clock);
}

export async function deleteCluster(profile: Profile, options: LocalOptions): Promise<void> {
  const { say, around, env } = options;
  for (const node of profiles.nodesOf(profile).reverse()) {
    if (!existsSync(node.dataDir)) continue;
    say(`Removing the node ${node.name}`);
    await programs.startContainerd(node, around.clock);
    await removeNode(node);
    await programs.stopContainerd(node, around.clock);
  }
  await removeLan(profile);
  dropContext(profile, env);
  const folder = profiles.folderOf(profile.name);
  const mounts = (readText("/proc/mounts") ?? "").split("\n").map((line) => line.split(" ")[1]);
  const below = mounts.filter((path) => path?.startsWith(`${folder}/`) === true);
  for (const path of below.reverse()) await runProcess(["umount", "-l", path ?? ""]);
  rmSync(folder, { recursive: true, force: true });
  if (profiles.listProfiles().length === 0) rmdirSync(profiles.PROFILES);
}

/** In the node's own network, where its rules and routes are. */
async function removeNode(node: LocalNode): Promise<void> {
  const inside = node.netns === undefined ? [] : ["nsenter", `--net=/run/netns/${node.netns}`];
  const argv = [...inside, process.execPath, "delete", "--data-dir", node.dataDir];
  const { exitCode, stderr } = await runProcess(argv, { timeoutMs: limits.serviceMsMax });
  if (exitCode !== 0) throw new OperatorError(stderr.trim().replace(/^bramble: /, ""));
}
