/** bramble autoscale */
import { UsageError } from "#base/errors.ts";
import { ask } from "#cli/api.ts";
import { act, collected, type Options, type Session, textOf } from "#cli/session.ts";
import { type Target, targetPath, targetsOf } from "#cli/targets.ts";
import type { VerbModule } from "#cli/verb.ts";
import { pathOf } from "#client/http.ts";
import { apiVersionOf } from "#resources/kind.ts";
import { horizontalPodAutoscalers } from "#resources/kinds/horizontalpodautoscaler.ts";

function number(options: Options, key: string, flag: string): number | undefined {
  const text = textOf(options, key);
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text)) return Number(text);
  throw new UsageError(`invalid argument "${text}" for "${flag}" flag: a number is needed`);
}

async function autoscaleOne(session: Session, target: Target, options: Options): Promise<void> {
  const maxReplicas = number(options, "max", "--max");
  const minReplicas = number(options, "min", "--min");
  const averageUtilization = number(options, "cpuPercent", "--cpu-percent");
  if (maxReplicas === undefined || maxReplicas < 1) {
    throw new UsageError(
      `--max=MAXPODS is required and must be at least 1, max: ${maxReplicas ?? -1}`,
    );
  }
  await ask(session.client, { path: targetPath(target) });
  const { resource, namespace } = target;
  const name = textOf(options, "name") ?? target.name;
  const cpu = { name: "cpu", target: { type: "Utilization", averageUtilization } };
  const body = {
    apiVersion: apiVersionOf(horizontalPodAutoscalers),
    kind: horizontalPodAutoscalers.kind,
    metadata: { name, namespace },
    spec: {
      scaleTargetRef: {
        apiVersion: apiVersionOf(resource),
        kind: resource.kind,
        name: target.name,
      },
      maxReplicas,
      ...(minReplicas !== undefined && { minReplicas }),
      ...(averageUtilization !== undefined && { metrics: [{ type: "Resource", resource: cpu }] }),
    },
  };
  const path = pathOf(horizontalPodAutoscalers, { namespace });
  const query = { dryRun: textOf(options, "dryRun") === "server" ? "All" : undefined };
  await ask(session.client, { method: "POST", path, body, query });
  session.io.out(`horizontalpodautoscaler.autoscaling/${name} autoscaled\n`);
}

async function autoscale(session: Session, args: string[], options: Options): Promise<void> {
  for (const target of await targetsOf(session, args, options)) {
    await autoscaleOne(session, target, options);
  }
}

export const define: VerbModule["define"] = (command, io) => {
  command
    .option("--min <count>", "no fewer than this")
    .option("--max <count>", "no more than this")
    .option("--cpu-percent <percent>", "of what the pods request")
    .option("--name <name>", "of the autoscaler")
    .option("-f, --filename <file>", "objects that a file names", collected)
    .option("-R, --recursive", "take folders with all that is below them")
    .option("--dry-run <how>", "none or server", "none");
  act(command, io, autoscale);
};
