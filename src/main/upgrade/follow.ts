/** A node's side of `bramble upgrade --cluster`: fetches the program that it is asked to take. */
import { existsSync, mkdirSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import type { Credentials } from "#agents/join/credentials.ts";
import { messageOf } from "#base/errors.ts";
import { readText, writeDurably } from "#base/files.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import { runProcess } from "#base/process.ts";
import type { Caches } from "#client/cache.types.ts";
import type { Client } from "#client/client.ts";
import { nodes } from "#resources/kinds/node.ts";
import { architecture } from "../machine.ts";
import { version } from "../version.ts";
import { installedRole, KEPT } from "./service.ts";
import { FAILED, type Outcome, PROGRAM_PATH, stepOf, type Wanted, wantedOf } from "./wanted.ts";

const OUTCOME = join(KEPT, "upgrade.json");
const NEXT = join(KEPT, "bramble.next");

const readOutcome = (): Outcome | undefined => {
  const text = readText(OUTCOME);
  return text === undefined ? undefined : (JSON.parse(text) as Outcome);
};

/** Kept over the restart that an upgrade is. */
export function saveOutcome(outcome: Outcome): void {
  mkdirSync(KEPT, { recursive: true });
  writeDurably(OUTCOME, `${JSON.stringify(outcome)}\n`);
}

export interface FollowOptions {
  client: Client;
  /** For the program: no memory holds it whole, neither here nor on the disk. */
  server: { server(): string; credentials: Credentials };
  caches: Caches;
  nodeName: string;
  dataDir: string;
  log: Log;
}

/** @throws Error where it is not the one that was meant. */
async function fetchProgram({ server }: FollowOptions, wanted: Wanted): Promise<void> {
  const { headers, tls } = await server.credentials.current();
  const answer = await fetch(`${server.server()}${PROGRAM_PATH}${architecture()}`, {
    headers,
    tls,
    signal: AbortSignal.timeout(limits.nodeUpgradeMsMax),
  });
  if (!answer.ok) throw new Error(`the server has no program for ${architecture()}`);
  const hash = new Bun.CryptoHasher("sha256");
  const file = Bun.file(NEXT).writer();
  for await (const chunk of answer.body ?? []) {
    hash.update(chunk);
    file.write(chunk);
    await file.flush();
  }
  await file.end();
  if (hash.digest("hex") !== wanted.sha256) throw new Error("the program was damaged on its way");
  await chmod(NEXT, 0o755);
}

/** Beside this process, which it ends. */
async function launch(dataDir: string, wanted: Wanted): Promise<void> {
  const upgrade = [NEXT, "upgrade", "--data-dir", dataDir, "--outcome", wanted.sha256];
  const away = existsSync("/run/systemd/system")
    ? ["systemd-run", "--collect", "--quiet", "--unit", "bramble-upgrade"]
    : ["setsid", "--fork"];
  const { exitCode, stderr } = await runProcess([...away, ...upgrade]);
  if (exitCode !== 0) throw new Error(stderr.trim());
}

class Follower {
  readonly #options: FollowOptions;
  #isBusy = false;

  constructor(options: FollowOptions) {
    this.#options = options;
  }

  async look(): Promise<void> {
    const { client, caches, nodeName, dataDir, log } = this.#options;
    const annotations = caches.of(nodes).get(nodeName)?.metadata.annotations;
    const wanted = wantedOf(annotations);
    if (this.#isBusy || wanted === undefined) return;
    this.#isBusy = true;
    try {
      const own = { version, outcome: readOutcome(), told: annotations?.[FAILED] };
      const step = stepOf(wanted, own);
      if (step === "nothing") return;
      if (step === "upgrade") {
        log.info("fetching another version", { version: wanted.version });
        saveOutcome({ sha256: wanted.sha256 });
        await fetchProgram(this.#options, wanted);
        await launch(dataDir, wanted);
        return;
      }
      const metadata = { annotations: { [FAILED]: step.tell } };
      await client.patch(nodes, { name: nodeName }, "merge", { metadata });
    } catch (error) {
      log.warn("not upgraded", { error: messageOf(error) });
      saveOutcome({ sha256: wanted.sha256, error: messageOf(error) });
    } finally {
      this.#isBusy = false;
    }
  }
}

/** Only where install.sh made the service, which can be started again. */
export function followUpgrades(options: FollowOptions): void {
  if (installedRole() === undefined) return;
  const follower = new Follower(options);
  const cache = options.caches.of(nodes);
  cache.onChange(({ key }) => {
    if (key === options.nodeName) void follower.look();
  });
  void cache.whenSynced().then(() => follower.look());
}
