/** bramble delete: objects, as kubectl does; without any, the local cluster with all its traces. */
import { actAlone, textOf } from "#cli/session.ts";
import type { VerbModule } from "#cli/verb.ts";
import { addDeleteFlags, deleteObjects, namesObjects } from "#cli/verbs/delete.ts";
import { DEFAULT_DATA_DIR } from "../instance.ts";
import { deleteCluster } from "../local/cluster.ts";
import {
  checkProfile,
  DEFAULT_PROFILE,
  loadProfile,
  mustLoad,
  type Profile,
} from "../local/profile.ts";
import { surroundings } from "../process.ts";
import { removeCluster } from "../remove.ts";

/** A local cluster, unless a data directory is named or there is none of the usual name. */
function localProfile(name: string | undefined, hasDataDir: boolean): Profile | undefined {
  if (name !== undefined) return mustLoad(checkProfile(name));
  return hasDataDir ? undefined : loadProfile(DEFAULT_PROFILE);
}

export const define: VerbModule["define"] = (command, io) => {
  addDeleteFlags(command)
    .option(
      "--data-dir <dir>",
      `without objects: the cluster's data directory (default: ${DEFAULT_DATA_DIR})`,
    )
    .option("-p, --profile <name>", "without objects: the local cluster of this name")
    .option("--keep-data", "without objects: keep the data directory and the images");
  actAlone(command, io, async (open, args, options) => {
    if (namesObjects(args, options)) return deleteObjects(open(), args, options);
    const given = options["dataDir"];
    const around = surroundings({ logLevel: "warn", logFormat: "text" });
    const profile = localProfile(textOf(options, "profile"), given !== undefined);
    if (profile !== undefined) {
      const say = (text: string): void => io.out(`* ${text}\n`);
      await deleteCluster(profile, { around, env: io.env, say });
      io.out(`the cluster "${profile.name}" is deleted\n`);
      return;
    }
    const dataDir = typeof given === "string" ? given : DEFAULT_DATA_DIR;
    const keepData = options["keepData"] === true;
    await removeCluster(dataDir, around, { keepData });
    const done = keepData ? "off this machine; its data is kept" : "deleted";
    io.out(`the cluster in ${dataDir} is ${done}\n`);
  });
};
