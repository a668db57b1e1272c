/** Secrets sealed in the datastore: which keys, and what happens to Secrets that are there. */
import { join } from "node:path";
import { messageOf, OperatorError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { addKey, isSealed, readKeys, ValueSealer } from "#base/sealer.ts";
import { type Disk, openDisk } from "#store/disk.ts";
import { type Sealing, sealDisk } from "#store/sealed.ts";
import { learnKeys } from "./sealed.ts";
import type { ServerSettings } from "./settings.ts";

const SECRETS = "core/secrets/";

type Choice = Pick<ServerSettings, "dataDir" | "encryptSecrets" | "encryptionKeyFile">;

export const keyFileOf = (settings: Pick<Choice, "dataDir" | "encryptionKeyFile">): string =>
  settings.encryptionKeyFile ?? join(settings.dataDir, "encryption-keys");

/** Whether Secrets of the datastore were encrypted once: then their key must be there. */
function anySealed(disk: Disk): boolean {
  for (const { key, value } of disk.load()) {
    if (key.startsWith(SECRETS) && isSealed(value)) return true;
  }
  return false;
}

function tellRewritten(log: Log, count: number, encrypted: boolean): void {
  const form = encrypted ? "encrypted with the newest key" : "no longer encrypted";
  log.info("rewrote Secrets in the datastore", { count, form });
}

/** Opens the datastore's file with Secrets as the settings want them. @throws OperatorError */
export function openSealedDisk(
  path: string,
  settings: Choice,
  parts: { log: Log; random: Random },
): Disk {
  const disk = openDisk(path);
  const keyFile = keyFileOf(settings);
  try {
    let keys = readKeys(keyFile);
    if (keys === undefined && anySealed(disk)) {
      throw new OperatorError(`Secrets are encrypted, but their key file ${keyFile} is missing`, {
        hint: "restore it from a backup, or name it with --encryption-key-file",
      });
    }
    if (keys === undefined && !settings.encryptSecrets) return disk;
    keys ??= addKey(keyFile, parts.random);
    const prefix = settings.encryptSecrets ? SECRETS : undefined;
    return sealDisk(disk, {
      sealer: new ValueSealer(keys, parts.random, prefix),
      onRewritten: (count) => tellRewritten(parts.log, count, settings.encryptSecrets),
    });
  } catch (error) {
    disk.close();
    throw error;
  }
}

export interface SharedParts {
  readonly log: Log;
  readonly random: Random;
  /** What the servers share, as far as this directory has it. */
  readonly known?: string;
  /** Told when it has something newer. */
  onLearned?(): void;
}

/** How Secrets lie in an etcd that several servers share: the keys come with the cluster's. */
export function sharedSealing(settings: Choice, parts: SharedParts): Sealing {
  const { log, random } = parts;
  const { dataDir } = settings;
  const keyFile = keyFileOf({ dataDir });
  const prefix = settings.encryptSecrets ? SECRETS : undefined;
  const made = () => new ValueSealer(readKeys(keyFile) ?? [], random, prefix);
  let current = made();
  let known = parts.known;
  return {
    sealer: {
      covers: (key) => current.covers(key),
      seal: (key, value) => current.seal(key, value),
      isCurrent: (stored) => current.isCurrent(stored),
      open: (key, stored) => current.open(key, stored),
      isSealed,
    },
    onKeys: (value) => {
      if (value === known) return;
      try {
        learnKeys(dataDir, value);
        known = value;
        current = made();
        parts.onLearned?.();
      } catch (error) {
        log.error("new keys of the cluster are not understood", { error: messageOf(error) });
      }
    },
    onRewritten: (count) => tellRewritten(log, count, settings.encryptSecrets),
  };
}
