/** Opens the datastore that the settings name. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createCodec } from "#api/codec.ts";
import type { Clock } from "#base/clock.ts";
import { messageOf, OperatorError } from "#base/errors.ts";
import { readText, writeDurably } from "#base/files.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { kinds } from "#resources/kinds.ts";
import { EtcdKeys, takePlace } from "#store/etcd/keys.ts";
import { type EtcdTls, endpointOf, Members } from "#store/etcd/members.ts";
import { openEtcdStore } from "#store/etcd.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import { StorageError, type Store } from "#store/store.ts";
import { openSealedDisk, type SharedParts, sharedSealing } from "./encryption.ts";
import { takeOver } from "./sealed.ts";
import type { ServerSettings } from "./settings.ts";

type DatastoreSettings = Pick<
  ServerSettings,
  | "dataDir"
  | "datastore"
  | "etcdCafile"
  | "etcdCertfile"
  | "etcdKeyfile"
  | "etcdPrefix"
  | "encryptSecrets"
  | "encryptionKeyFile"
>;

/** Whether other servers use it too. */
export const isShared = ({ datastore }: Pick<ServerSettings, "datastore">): boolean =>
  datastore !== "sqlite";

/** Of `etcd=URL,URL`; none with SQLite. */
function urlsOf({ datastore }: Pick<ServerSettings, "datastore">): string[] {
  const [, addresses] = /^etcd=(.*)$/.exec(datastore) ?? [];
  return addresses?.split(",") ?? [];
}

function fileOf(flag: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new OperatorError(`${flag}: cannot read ${path}: ${messageOf(error)}`);
  }
}

function tlsOf({ etcdCafile, etcdCertfile, etcdKeyfile }: DatastoreSettings): EtcdTls {
  if ((etcdCertfile === undefined) !== (etcdKeyfile === undefined)) {
    throw new OperatorError("--etcd-certfile and --etcd-keyfile go together, give both");
  }
  return {
    ...(etcdCafile !== undefined && { ca: fileOf("--etcd-cafile", etcdCafile) }),
    ...(etcdCertfile !== undefined && { cert: fileOf("--etcd-certfile", etcdCertfile) }),
    ...(etcdKeyfile !== undefined && { key: fileOf("--etcd-keyfile", etcdKeyfile) }),
  };
}

/** Hosts and ports of etcd's members; none where the state is a file of this process. */
export const datastoreServers = (
  settings: Pick<ServerSettings, "datastore">,
): Array<{ address: string; port: number }> =>
  urlsOf(settings).map((url) => {
    const { hostname, port } = endpointOf(url, undefined);
    return { address: hostname, port };
  });

/** Of etcd, with what it takes to be let in. */
export const etcdAccess = (settings: DatastoreSettings) => ({
  urls: urlsOf(settings),
  prefix: settings.etcdPrefix,
  tls: tlsOf(settings),
});

const MOVED = "moved-to";

/** Where the datastore's file of this directory moved to, in words; undefined: nowhere. */
export const movedTo = (dataDir: string): string | undefined =>
  readText(join(dataDir, MOVED))?.trim();

/** With `undefined` the file is in use again. */
export function markMoved(dataDir: string, where: string | undefined): void {
  if (where === undefined) rmSync(join(dataDir, MOVED), { force: true });
  else writeDurably(join(dataDir, MOVED), `${where}\n`);
}

/** @throws OperatorError when it cannot be used, with the way out. */
export async function openDatastore(
  settings: DatastoreSettings,
  parts: SharedParts & { clock: Clock },
): Promise<Store> {
  const { clock, log, random } = parts;
  const base = { codec: createCodec(kinds), clock, log };
  if (!isShared(settings)) {
    const elsewhere = movedTo(settings.dataDir);
    if (elsewhere !== undefined) {
      throw new OperatorError(`the cluster of ${settings.dataDir} moved to ${elsewhere}`, {
        hint: `start with that --datastore; without DATA_DIR/${MOVED} the old state is used again`,
      });
    }
    return openSqliteStore({
      ...base,
      path: join(settings.dataDir, "state.db"),
      openDisk: (path) => openSealedDisk(path, settings, { log, random }),
    });
  }
  if (settings.encryptionKeyFile !== undefined) {
    throw new OperatorError("--encryption-key-file works with --datastore sqlite only", {
      hint: "servers that share an etcd have their keys in it, sealed with --server-token",
    });
  }
  const sealing = sharedSealing(settings, parts);
  return reached(() => openEtcdStore({ ...base, ...etcdAccess(settings), sealing }));
}

/** @throws OperatorError with the way out where etcd cannot be reached. */
async function reached<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    const way = "see that etcd runs, and that --datastore names its client addresses";
    throw new OperatorError(`--datastore: ${error.message}; ${way}`, { cause: error });
  }
}

export interface SharedKeys {
  /** Once the authorities are there. Answers the text in etcd which they are as new as. */
  seal(): Promise<string>;
  close(): void;
}

/** What the servers of a shared datastore have in common comes into this data directory. */
export async function takeSharedKeys(
  settings: DatastoreSettings & Pick<ServerSettings, "serverToken">,
  { clock, log, random }: { clock: Clock; log: Log; random: Random },
): Promise<SharedKeys> {
  const { prefix, ...access } = etcdAccess(settings);
  const members = new Members({ ...access, clock, log });
  const close = (): void => members.close();
  const keys = new EtcdKeys(members, prefix);
  const { dataDir, serverToken: token, encryptSecrets: encrypt } = settings;
  try {
    return await reached(async () => {
      const { at: placeAt } = await takePlace(keys, log);
      const sealOwn = await takeOver({ keys, placeAt, dataDir, token, encrypt, clock, random });
      return { seal: () => reached(sealOwn), close };
    });
  } catch (error) {
    close();
    throw error;
  }
}
