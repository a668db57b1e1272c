/** bramble version */

import { OperatorError, UsageError } from "#base/errors.ts";
import { ask, StatusFailure } from "#cli/api.ts";
import { jsonText, yamlText } from "#cli/output.ts";
import { actAlone, explain, isSet, textOf } from "#cli/session.ts";
import { ExitStatus, type VerbModule } from "#cli/verb.ts";

interface ServerVersion {
  gitVersion: string;
}

export const define: VerbModule["define"] = (command, io) => {
  command.option("--client", "of this program alone").option("-o, --output <form>", "yaml or json");
  actAlone(command, io, async (open, _args, options) => {
    const form = textOf(options, "output");
    if (form !== undefined && form !== "yaml" && form !== "json") {
      throw new UsageError("--output must be 'yaml' or 'json'");
    }
    const gitVersion = `v${io.version}`;
    const found: Record<string, object> = { clientVersion: { gitVersion } };
    let failure: unknown;
    if (!isSet(options, "client")) {
      try {
        found["serverVersion"] = await ask<ServerVersion>(open().client, { path: "/version" });
      } catch (error) {
        if (!(error instanceof OperatorError) && !(error instanceof StatusFailure)) throw error;
        failure = error;
      }
    }
    const server = found["serverVersion"] as ServerVersion | undefined;
    if (form !== undefined) io.out(form === "json" ? jsonText(found) : yamlText(found));
    else {
      io.out(`Client Version: ${gitVersion}\n`);
      if (server !== undefined) io.out(`Server Version: ${server.gitVersion}\n`);
    }
    if (failure !== undefined) throw new ExitStatus(explain(failure, io));
  });
};
