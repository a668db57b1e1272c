/** bramble explain */
import { OperatorError, UsageError } from "#base/errors.ts";
import { ask } from "#cli/api.ts";
import { type Definitions, explainText, type OpenApiNode } from "#cli/explain.ts";
import { discover, findResource, type Resource } from "#cli/resources.ts";
import { act, isSet, type Options, type Session, textOf } from "#cli/session.ts";
import type { VerbModule } from "#cli/verb.ts";

interface Document {
  components?: { schemas?: Definitions };
}

function rootOf(all: Definitions, { group, version, kind }: Resource): OpenApiNode {
  const found = Object.values(all).find((node) =>
    node["x-kubernetes-group-version-kind"]?.some(
      (each) => each.group === group && each.version === version && each.kind === kind,
    ),
  );
  if (found !== undefined) return found;
  throw new OperatorError(`the server has no schema of ${kind}`);
}

/** `pods.spec`, where the resource may itself have dots: `deployments.apps.spec`. */
function split(all: readonly Resource[], text: string): { resource: Resource; path: string[] } {
  const parts = text.split(".").filter((part) => part !== "");
  const [name = ""] = parts;
  for (let length = parts.length; length > 1; length--) {
    const [plural, ...group] = parts.slice(0, length);
    const found = all.find((each) => each.plural === plural && each.group === group.join("."));
    if (found !== undefined) return { resource: found, path: parts.slice(length) };
  }
  return { resource: findResource(all, name), path: parts.slice(1) };
}

async function explain(session: Session, args: string[], options: Options): Promise<void> {
  const [word, more] = args;
  if (word === undefined) throw new UsageError("You must specify the type of resource to explain.");
  if (more !== undefined) throw new UsageError("We accept only this format: explain RESOURCE");
  const all = await discover(session.client);
  const apiVersion = textOf(options, "apiVersion");
  const inVersion = all.filter(
    ({ group, version }) =>
      apiVersion === undefined || apiVersion === (group === "" ? version : `${group}/${version}`),
  );
  const { resource, path } = split(inVersion, word);
  const { group, version, kind } = resource;
  const where = group === "" ? `api/${version}` : `apis/${group}/${version}`;
  const document = await ask<Document>(session.client, { path: `/openapi/v3/${where}` });
  const definitions = document.components?.schemas ?? {};
  const recursive = isSet(options, "recursive");
  const what = { group, version, kind, path, recursive };
  session.io.out(explainText(rootOf(definitions, resource), definitions, what));
}

export const define: VerbModule["define"] = (command, io) => {
  command
    .option("--recursive", "show all fields below")
    .option("--api-version <version>", "of this group and version")
    .option("-o, --output <form>", "accepted");
  act(command, io, explain);
};
