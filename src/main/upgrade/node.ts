/**
 * Upgrades this node: checks the versions, swaps the program, looks whether it comes up, and goes
 * back to the one before by itself when it does not. Pods run on meanwhile.
 */

import { loadCluster } from "#agents/join/join.ts";
import type { Clock } from "#base/clock.ts";
import { sleep } from "#base/clock.ts";
import { messageOf, OperatorError } from "#base/errors.ts";
import { readText } from "#base/files.ts";
import { limits } from "#base/limits.ts";
import { parseVersion, refusal, skewRefusal, type Version, versionText } from "./plan.ts";
import * as service from "./service.ts";
import { keepState, restoreState, swapBack, swapProgram } from "./swap.ts";

export interface UpgradeOptions {
  /** The new program. */
  file: string;
  dataDir: string;
  httpsPort: number;
  clock: Clock;
  /** One line of progress. */
  say(text: string): void;
  /** Why it is taken back, before the old program starts: that one tells it to the server. */
  failed?(why: string): void;
}

/** What a server says its version is; undefined where it does not answer. */
async function serverVersion(url: string, ca: string): Promise<Version | undefined> {
  try {
    const signal = AbortSignal.timeout(limits.joinMsMax);
    const answer = await fetch(`${url}/version`, { tls: { ca }, signal });
    return parseVersion(((await answer.json()) as { gitVersion?: string }).gitVersion ?? "");
  } catch {
    // Not there yet, or cut off: the caller asks again or says so.
    return undefined;
  }
}

async function check(role: "server" | "agent", options: UpgradeOptions): Promise<Version> {
  const to = await service.versionOf(options.file);
  const from = await service.versionOf(service.PROGRAM);
  const refused = refusal(from, to);
  if (refused !== undefined) throw new OperatorError(`not upgraded from ${refused}`);
  if (role === "server") return to;
  const cluster = loadCluster(`${options.dataDir}/node`);
  const server = cluster && (await serverVersion(cluster.servers[0] ?? "", cluster.caPem));
  if (server === undefined) options.say("the server does not answer: its version is not compared");
  const skewed = server && skewRefusal(server, to);
  if (skewed !== undefined) throw new OperatorError(`not upgraded: ${skewed}`);
  return to;
}

/**
 * A server answers with the version that it should have; each stays up for a while. An init script
 * says that it started a program before there is one, and starts one that ended again and again.
 */
async function isWell(role: "server" | "agent", version: Version, options: UpgradeOptions) {
  const { clock, dataDir, httpsPort } = options;
  const endMs = clock.monotonic() + limits.serviceMsMax;
  const ca = readText(`${dataDir}/pki/ca.crt`) ?? "";
  let pid = "";
  const look = async (): Promise<void> => {
    const now = await service.servicePid();
    if (pid !== "" && now !== pid) throw new OperatorError("it ended soon after its start");
    pid = now;
  };
  const answers = async (): Promise<boolean> => {
    if (role === "agent") return true;
    const found = await serverVersion(`https://127.0.0.1:${httpsPort}`, ca);
    return found !== undefined && versionText(found) === versionText(version);
  };
  for (;;) {
    await look();
    if (pid !== "" && (await answers())) break;
    if (clock.monotonic() > endMs) {
      throw new OperatorError(role === "agent" ? "it does not start" : "the API does not answer");
    }
    await sleep(clock, limits.upgradeLookMs);
  }
  await sleep(clock, limits.upgradeSettleMs);
  await look();
}

/** With the program that was there before; with the state before it, if it needs that. */
async function goBack(role: "server" | "agent", from: Version, options: UpgradeOptions) {
  await service.stopService().catch(() => {});
  swapBack();
  try {
    await service.startService();
    await isWell(role, from, options);
  } catch (error) {
    if (role === "agent") throw error;
    options.say("the old version does not understand the state: putting back that from before");
    await service.stopService().catch(() => {});
    restoreState(options.dataDir);
    await service.startService();
    await isWell(role, from, options);
  }
}

/** @throws OperatorError when it was refused, or when it did not come up and was taken back. */
export async function upgradeNode(options: UpgradeOptions): Promise<Version> {
  const role = service.installedRole();
  if (role === undefined) {
    throw new OperatorError("bramble is not installed on this machine", {
      hint: "install.sh --server or install.sh --agent installs it",
    });
  }
  const { say } = options;
  const from = await service.versionOf(service.PROGRAM);
  const to = await check(role, options);
  say(`upgrading this ${role} from ${versionText(from)} to ${versionText(to)}; pods run on`);
  await service.stopService();
  try {
    if (role === "server") keepState(options.dataDir);
    swapProgram(options.file);
    await service.startService();
    await isWell(role, to, options);
  } catch (cause) {
    say(`it does not come up (${messageOf(cause)}): going back to ${versionText(from)}`);
    const why = `${versionText(to)} did not come up: ${messageOf(cause)}`;
    options.failed?.(why);
    await goBack(role, from, options);
    const hint = service.logHint();
    throw new OperatorError(`${why}; ${versionText(from)} runs again`, { cause, hint });
  }
  say(`this ${role} runs ${versionText(to)}`);
  return to;
}
