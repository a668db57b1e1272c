/**
 * Upgrades a cluster node by node, its server first: cordon, drain, swap, wait until the node is
 * ready with the new version, uncordon. It stops at the first node that does not come up.
 */
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Clock, sleep } from "#base/clock.ts";
import { OperatorError } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Client } from "#client/client.ts";
import { nodes } from "#resources/kinds/node.ts";
import type { Stored } from "#resources/meta.ts";
import type { Node } from "#resources/types.gen.ts";
import { emptyNode, isEvictable, setOpen } from "../evict.ts";
import { parseVersion, type Version, versionText } from "./plan.ts";
import { FAILED, WANTED } from "./wanted.ts";

export interface ClusterUpgrade {
  client: Client;
  clock: Clock;
  dataDir: string;
  /** The node that this machine is; it is upgraded by `own`. */
  ownName: string;
  own(): Promise<Version>;
  version: Version;
  /** Program files by architecture. */
  programs: ReadonlyMap<string, string>;
  say(text: string): void;
}

const isReady = (node: Stored<Node>): boolean =>
  node.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false;

const versionOf = (node: Stored<Node>): string => {
  const found = parseVersion(node.status?.nodeInfo?.kubeletVersion ?? "");
  return found === undefined ? "" : versionText(found);
};

const archOf = (node: Stored<Node>): string => node.status?.nodeInfo?.architecture ?? "";

const patchNode = (client: Client, name: string, body: object) =>
  client.patch(nodes, { name }, "merge", body);

async function waitFor(upgrade: ClusterUpgrade, name: string): Promise<void> {
  const { client, clock, version } = upgrade;
  const endMs = clock.monotonic() + limits.nodeUpgradeMsMax;
  for (;;) {
    const node = await client.get(nodes, { name }).catch(() => undefined);
    const failed = node?.metadata.annotations?.[FAILED];
    if (failed !== undefined) throw new OperatorError(`${name}: ${failed}`);
    if (node && isReady(node) && versionOf(node) === versionText(version)) return;
    if (clock.monotonic() > endMs) {
      throw new OperatorError(`${name} did not come back with ${versionText(version)} in time`);
    }
    await sleep(clock, limits.drainLookMs);
  }
}

async function sha256(path: string): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(path).stream()) hash.update(chunk);
  return hash.digest("hex");
}

async function ask(upgrade: ClusterUpgrade, node: Stored<Node>): Promise<void> {
  const file = upgrade.programs.get(archOf(node)) ?? "";
  const folder = join(upgrade.dataDir, "programs");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  copyFileSync(file, join(folder, archOf(node)));
  const wanted = { version: versionText(upgrade.version), sha256: await sha256(file) };
  const annotations = { [WANTED]: JSON.stringify(wanted), [FAILED]: null };
  await patchNode(upgrade.client, node.metadata.name, { metadata: { annotations } });
}

async function upgradeOne(upgrade: ClusterUpgrade, node: Stored<Node>, isAlone: boolean) {
  const { client, clock, say, ownName } = upgrade;
  const { name } = node.metadata;
  const wasOpen = node.spec?.unschedulable !== true;
  if (!isAlone) {
    say(`${name}: draining`);
    if (wasOpen) await setOpen(client, name, false);
  }
  try {
    // Pods that would not come again live through an upgrade where they are.
    if (!isAlone) await emptyNode({ client, clock, node: name, isMeant: isEvictable });
    if (name === ownName) await upgrade.own();
    else {
      say(`${name}: taking ${versionText(upgrade.version)}`);
      await ask(upgrade, node);
    }
    await waitFor(upgrade, name);
    say(`${name}: ready with ${versionText(upgrade.version)}`);
  } finally {
    const metadata = { annotations: { [WANTED]: null, [FAILED]: null } };
    const spec = wasOpen && !isAlone ? { spec: { unschedulable: null } } : {};
    await patchNode(client, name, { metadata, ...spec });
  }
}

/** @throws OperatorError at the first node that did not come up; those after it are as before. */
export async function upgradeCluster(upgrade: ClusterUpgrade): Promise<void> {
  const { client, programs, version, ownName } = upgrade;
  const { items } = await client.list(nodes);
  const due = items
    .filter((node) => versionOf(node) !== versionText(version))
    .sort((a, b) => Number(b.metadata.name === ownName) - Number(a.metadata.name === ownName));
  for (const node of due) {
    const { name } = node.metadata;
    if (!isReady(node)) throw new OperatorError(`${name} is not ready: no node is upgraded`);
    if (!programs.has(archOf(node))) {
      throw new OperatorError(`there is no program for ${name}, which is ${archOf(node)}`, {
        hint: `name it: --program ${archOf(node)}=FILE`,
      });
    }
  }
  for (const node of due) await upgradeOne(upgrade, node, items.length === 1);
  upgrade.say(`the cluster runs ${versionText(version)}`);
}
