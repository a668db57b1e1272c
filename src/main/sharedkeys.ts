/** For commands beside the servers of an etcd: what the servers share, for one step. */
import type { Clock } from "#base/clock.ts";
import type { Random } from "#base/random.ts";
import { EtcdKeys } from "#store/etcd/keys.ts";
import { Members } from "#store/etcd/members.ts";
import { etcdAccess } from "./datastore.ts";
import { surroundings } from "./process.ts";
import type { SealedParts } from "./sealed.ts";
import type { ServerSettings } from "./settings.ts";

export async function withSharedKeys<T>(
  settings: ServerSettings,
  { clock, random }: { clock: Clock; random: Random },
  step: (parts: SealedParts) => Promise<T>,
): Promise<T> {
  const { log } = surroundings({ logLevel: "warn", logFormat: "text" });
  const { prefix, ...access } = etcdAccess(settings);
  const members = new Members({ ...access, clock, log });
  const keys = new EtcdKeys(members, prefix);
  try {
    const { at: placeAt } = await keys.place();
    const { dataDir, serverToken: token } = settings;
    return await step({ keys, placeAt, dataDir, token, encrypt: true, clock, random });
  } finally {
    members.close();
  }
}
