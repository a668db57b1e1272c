/**
 * Moves a cluster between a file and etcd, while its servers do not run. What it comes from stays
 * as a backup. Whatever ends a migration early, one end is whole and goes on, and it can be run
 * again: see `Place` for how servers know.
 */
import { existsSync, renameSync } from "node:fs";
import type { Clock } from "#base/clock.ts";
import { OperatorError } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Random } from "#base/random.ts";
import { addKey, readKeys, ValueSealer } from "#base/sealer.ts";
import { extentOfFile } from "#store/copy.ts";
import type { EtcdKeys } from "#store/etcd/keys.ts";
import { isOwnKey, type Place, SERVER_KEYS } from "#store/etcd/place.ts";
import { markMoved, movedTo } from "../datastore.ts";
import { keyFileOf } from "../encryption.ts";
import { openSealed, sealedObject } from "../sealed.ts";
import type { ServerSettings } from "../settings.ts";
import { Checklist, type Moved } from "./check.ts";
import { assertNoServer, fill, seenOf, unlessSuperseded } from "./etcd.ts";
import {
  dropWorkDir,
  emptyWorkDir,
  opener,
  readFrom,
  readWhole,
  setAside,
  stateFile,
  writeWhole,
} from "./file.ts";
import { planToEtcd, planToSqlite, type Refusal, type Seen } from "./plan.ts";

export interface MigrateOptions {
  readonly settings: ServerSettings;
  readonly keys: EtcdKeys;
  /** The etcd in words. */
  readonly etcd: string;
  readonly force: boolean;
  readonly clock: Clock;
  readonly random: Random;
  /** Told what is going on, a line at a time. */
  readonly tell: (line: string) => void;
}

const SECRETS = "core/secrets/";

const number48 = (random: Random): number => Buffer.from(random.bytes(6)).readUIntBE(0, 6);

async function look(options: MigrateOptions): Promise<Seen & { at: number; place?: Place }> {
  const { settings, keys, force } = options;
  const file = stateFile(settings.dataDir);
  const { found, ...etcd } = await seenOf(keys);
  return {
    file: existsSync(file) ? extentOfFile(file) : undefined,
    fileMovedTo: movedTo(settings.dataDir),
    etcd,
    force,
    at: found.at,
    ...(found.place && { place: found.place }),
  };
}

function assertPlanned<T extends object>(plan: T | Refusal): asserts plan is T {
  if (!("refused" in plan)) return;
  const { refused, hint } = plan;
  throw new OperatorError(refused, hint === undefined ? {} : { hint });
}

/** Objects in etcd as readers see them, as of one revision. */
async function* inEtcd(
  { keys, settings, random }: MigrateOptions,
  offset: number,
  revision = 0,
): AsyncGenerator<Moved> {
  const open = opener(settings, random);
  for await (const { key, value, modRevision } of keys.all("", revision)) {
    yield { key, value: open({ key, value }), revision: modRevision + offset };
  }
}

/** Under the lock of the data directory. @throws OperatorError with both ends as they were. */
export async function toEtcd(options: MigrateOptions): Promise<number> {
  const { settings, keys, tell } = options;
  const { dataDir } = settings;
  if (settings.encryptSecrets && settings.encryptionKeyFile !== undefined) {
    throw new OperatorError("servers on etcd have their keys in DATA_DIR/encryption-keys", {
      hint: "move the file there, and leave out --encryption-key-file",
    });
  }
  const seen = await look(options);
  const plan = planToEtcd(seen);
  assertPlanned(plan);
  const objects = readFrom(settings, options.random).filter(({ key }) => !isOwnKey(key));
  const checklist = new Checklist();
  for (const object of objects) checklist.add(object);
  const place: Place = {
    state: "filling",
    offset: plan.offset,
    other: dataDir,
    since: new Date(options.clock.now()).toISOString(),
    migration: number48(options.random),
  };
  const at = unlessSuperseded(await keys.setPlace(place, seen.at));
  if (plan.clear) unlessSuperseded(await keys.clear(at));
  tell(`copying ${checklist.count} objects to ${options.etcd}`);
  const sealed = sealing(options);
  const stored = objects.map((object) => ({ ...object, value: sealed(object) }));
  await fill(keys, stored, at);
  await checklist.assertAll(inEtcd(options, plan.offset));
  const parts = { ...options, dataDir, token: settings.serverToken };
  const common = { key: SERVER_KEYS, value: sealedObject(parts), revision: 0 };
  await fill(keys, [common], at);
  markMoved(dataDir, options.etcd);
  unlessSuperseded(await keys.setPlace({ ...place, state: "ready" }, at));
  dropWorkDir(dataDir);
  return checklist.count;
}

/** How values of Secrets are written. */
function sealing({ settings, random }: MigrateOptions): (object: Moved) => string {
  if (!settings.encryptSecrets) return ({ value }) => value;
  const keyFile = keyFileOf(settings);
  const sealer = new ValueSealer(readKeys(keyFile) ?? addKey(keyFile, random), random, SECRETS);
  return ({ key, value }) => (sealer.covers(key) ? sealer.seal(key, value) : value);
}

/** Makes and checks the file; answers where it is and how many objects it holds. */
async function copied(
  options: MigrateOptions,
  from: { place: Place; revision: number },
): Promise<{ path: string; count: number }> {
  const { settings, random } = options;
  const { place, revision } = from;
  const path = emptyWorkDir(settings.dataDir);
  const checklist = new Checklist();
  async function* listed(): AsyncGenerator<Moved> {
    for await (const object of inEtcd(options, place.offset, revision)) {
      checklist.add(object);
      yield object;
    }
  }
  await writeWhole(path, listed(), {
    ceiling: () => revision + place.offset + limits.restoredRevisionGap,
    migration: place.migration,
    seal: sealing(options),
  });
  await checklist.assertAll(readWhole(path, settings, random));
  return { path, count: checklist.count };
}

/** As `toEtcd`. Waits for as long as a Lease of a server lasts. */
export async function toSqlite(options: MigrateOptions): Promise<number> {
  const { settings, keys, tell, clock } = options;
  const { dataDir } = settings;
  const seen = await look(options);
  const plan = planToSqlite(seen);
  assertPlanned(plan);
  tell("looking whether a server runs");
  await assertNoServer(keys, clock);
  const moved = (place: Place): Place => ({ ...place, state: "moved", other: dataDir });
  if (plan.step === "finish" && seen.place !== undefined) {
    unlessSuperseded(await keys.setPlace(moved(seen.place), seen.at));
    markMoved(dataDir, undefined);
    dropWorkDir(dataDir);
    return seen.file?.objects ?? 0;
  }
  const sealed = await keys.get(SERVER_KEYS);
  if (sealed === undefined) throw new OperatorError("etcd holds no keys of a cluster");
  openSealed({ ...options, dataDir, token: settings.serverToken }, sealed.value);
  const place: Place = {
    state: "leaving",
    offset: seen.place?.offset ?? 0,
    other: dataDir,
    since: new Date(clock.now()).toISOString(),
    migration: number48(options.random),
  };
  const revision = unlessSuperseded(await keys.setPlace(place, seen.at));
  tell(`copying ${seen.etcd.objects} objects to ${stateFile(dataDir)}`);
  const { path, count } = await copied(options, { place, revision });
  if (plan.setAside) tell(`the older file is in ${setAside(dataDir, clock.now())}`);
  renameSync(path, stateFile(dataDir));
  const done = await keys.setPlace(moved(place), revision);
  // A server was started on etcd meanwhile: the cluster goes on there.
  if (done === undefined) tell(`the copy is in ${setAside(dataDir, clock.now())}`);
  unlessSuperseded(done);
  markMoved(dataDir, undefined);
  dropWorkDir(dataDir);
  return count;
}
