/** bramble api-resources */
import { discover, type Resource } from "#cli/resources.ts";
import { act, isSet, type Options, type Session, textOf } from "#cli/session.ts";
import { columns } from "#cli/table.ts";
import type { VerbModule } from "#cli/verb.ts";

function matches(resource: Resource, options: Options): boolean {
  const group = textOf(options, "apiGroup");
  const verbs = textOf(options, "verbs")?.split(",") ?? [];
  const { namespaced } = options;
  return (
    (group === undefined || resource.group === group) &&
    verbs.every((verb) => resource.verbs.includes(verb)) &&
    (namespaced === undefined || resource.namespaced === (namespaced === "true"))
  );
}

async function show(session: Session, _args: string[], options: Options): Promise<void> {
  const found = (await discover(session.client)).filter((each) => matches(each, options));
  // Preferred versions come first.
  const once = found.filter(
    (each, at) => found.findIndex((o) => o.group === each.group && o.plural === each.plural) === at,
  );
  const key = (r: Resource): string => `${r.group} ${r.plural}`;
  const sorted = once.sort((a, b) => (key(a) < key(b) ? -1 : 1));
  const wide = textOf(options, "output") === "wide";
  if (textOf(options, "output") === "name") {
    for (const { group, plural } of sorted) {
      session.io.out(group === "" ? `${plural}\n` : `${plural}.${group}\n`);
    }
    return;
  }
  const head = ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"];
  const more = wide ? ["VERBS", "CATEGORIES"] : [];
  const rows = sorted.map(({ group, version, ...each }) => [
    each.plural,
    each.shortNames.join(","),
    group === "" ? version : `${group}/${version}`,
    String(each.namespaced),
    each.kind,
    ...(wide ? [each.verbs.join(","), each.categories.join(",")] : []),
  ]);
  session.io.out(columns(isSet(options, "headers") ? [[...head, ...more], ...rows] : rows));
}

export const define: VerbModule["define"] = (command, io) => {
  command
    .option("--api-group <group>", "of this group alone")
    .option("--namespaced <true|false>", "in namespaces, or not")
    .option("--verbs <list>", "that serve all of these verbs")
    .option("--no-headers", "leave out the heads of columns")
    .option("-o, --output <form>", "wide or name");
  act(command, io, show);
};
