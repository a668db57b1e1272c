/** bramble migrate --to etcd=URL,URL,URL, and --to sqlite */
import { realClock } from "#base/clock.ts";
import { OperatorError, UsageError } from "#base/errors.ts";
import { realRandom } from "#base/random.ts";
import type { CliIo, VerbModule } from "#cli/verb.ts";
import { EtcdKeys } from "#store/etcd/keys.ts";
import { Members } from "#store/etcd/members.ts";
import { lockDataDir } from "#store/lock.ts";
import { StorageError } from "#store/store.ts";
import { etcdAccess } from "../datastore.ts";
import { addFlags, sourcesOf } from "../flags.ts";
import { routeOf } from "../migrate/args.ts";
import { type MigrateOptions, toEtcd, toSqlite } from "../migrate/migrate.ts";
import { surroundings } from "../process.ts";
import { loadServerSettings, serverShape } from "../settings.ts";

const FLAGS = [
  ...(["dataDir", "datastore", "etcdCafile", "etcdCertfile", "etcdKeyfile"] as const),
  ...(["etcdPrefix", "serverToken", "encryptSecrets", "encryptionKeyFile"] as const),
];

interface MigrateFlags extends Record<string, unknown> {
  to: string;
  force?: true;
}

async function migrate({ to, force, ...options }: MigrateFlags, io: CliIo): Promise<void> {
  const given = loadServerSettings(sourcesOf(options, io.env));
  const route = routeOf(to, given.datastore);
  if ("refused" in route) throw new UsageError(route.refused, { hint: route.hint ?? "" });
  const settings = { ...given, datastore: route.etcd };
  const { log } = surroundings({ logLevel: "error", logFormat: "text" });
  const { prefix, ...access } = etcdAccess(settings);
  const lock = lockDataDir(settings.dataDir);
  const members = new Members({ ...access, clock: realClock, log });
  const parts: MigrateOptions = {
    settings,
    keys: new EtcdKeys(members, prefix),
    etcd: `${route.etcd}${prefix}`,
    force: force === true,
    clock: realClock,
    random: realRandom,
    tell: (line) => io.out(`${line}\n`),
  };
  try {
    const count = await (route.to === "etcd" ? toEtcd(parts) : toSqlite(parts));
    io.out(`${count} objects arrived as they were; what they came from stays as it is\n`);
    const flags = settings.encryptSecrets ? " --encrypt-secrets" : "";
    io.out(`start the server with --datastore ${to}${flags}${route.to === "etcd" ? after : ""}\n`);
    if (route.to === "etcd" && flags === "") io.out(plain);
  } catch (cause) {
    if (!(cause instanceof StorageError)) throw cause;
    throw new OperatorError(`${cause.message}; run this again when etcd serves`, { cause });
  } finally {
    members.close();
    lock.release();
  }
}

const after = "; others need --server-token, the text of DATA_DIR/server-token";
const plain = "Secrets are in etcd as they are, unless servers have --encrypt-secrets\n";

export const define: VerbModule["define"] = (command, io) => {
  command.requiredOption("--to <datastore>", "etcd=URL,URL,URL or sqlite");
  command.option("--force", "also where an older copy of the cluster is given up by it");
  addFlags(command, Object.fromEntries(FLAGS.map((key) => [key, serverShape[key]])));
  command.action((flags: MigrateFlags) => migrate(flags, io));
};
