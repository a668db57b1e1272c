/** bramble events */

import { UsageError } from "#base/errors.ts";
import { elastic } from "#cli/elastic.ts";
import { lastSeen, lastTime } from "#cli/eventtext.ts";
import { jsonText, printerFor } from "#cli/output.ts";
import { discover, findResource } from "#cli/resources.ts";
import { act, isSet, type Options, type Session, textOf } from "#cli/session.ts";
import { listAll } from "#cli/targets.ts";
import type { VerbModule } from "#cli/verb.ts";
import { watch } from "#cli/watching.ts";
import { pathOf } from "#client/http.ts";
import { events } from "#resources/kinds/event.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import type { Event } from "#resources/types.gen.ts";

/** What a row must be about. */
async function filterOf(session: Session, options: Options) {
  const types = textOf(options, "types")
    ?.split(",")
    .map((each) => each.trim().toLowerCase());
  const about = textOf(options, "for");
  let kind: string | undefined;
  let name: string | undefined;
  if (about !== undefined) {
    const [type = "", object] = about.split("/");
    if (object === undefined) throw new UsageError("--for must be in resource/name form");
    kind = findResource(await discover(session.client), type).kind;
    name = object;
  }
  return (event: Event): boolean =>
    (types === undefined || types.includes((event.type ?? "").toLowerCase())) &&
    (kind === undefined ||
      (event.involvedObject.kind === kind && event.involvedObject.name === name));
}

function row(event: Stored<Event>, now: number, everywhere: boolean): string {
  const { kind = "", name = "" } = event.involvedObject;
  const cells = [
    lastSeen(event, now),
    event.type ?? "",
    event.reason ?? "",
    `${kind}/${name}`,
    (event.message ?? "").trim(),
  ];
  return (everywhere ? [event.metadata.namespace ?? "", ...cells] : cells).join("\t");
}

async function show(session: Session, _args: string[], options: Options): Promise<void> {
  const { io } = session;
  const everywhere = isSet(options, "allNamespaces");
  const path = pathOf(events, everywhere ? {} : { namespace: session.namespace });
  const wanted = await filterOf(session, options);
  const list = await listAll(session, path);
  const found = (list.items as Stored<Event>[])
    .filter(wanted)
    .sort((a, b) => lastTime(a) - lastTime(b));
  const form = textOf(options, "output");
  if (form !== undefined) {
    const whole = { apiVersion: "v1", items: found, kind: "List", metadata: {} } as ApiObject;
    io.out(form === "json" ? jsonText(whole) : printerFor(form)(whole));
    return;
  }
  const following = isSet(options, "watch");
  if (found.length === 0 && !following) {
    io.err(
      everywhere ? "No events found.\n" : `No events found in ${session.namespace} namespace.\n`,
    );
    return;
  }
  const names = ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"];
  const head =
    options["headers"] === false ? [] : [(everywhere ? ["NAMESPACE", ...names] : names).join("\t")];
  const rows = found.map((event) => row(event, io.now(), everywhere));
  io.out(`${elastic([...head, ...rows].join("\n"), { widthMin: 6, padding: 3 })}\n`);
  if (!following) return;
  const call = { path, query: { resourceVersion: list.resourceVersion } };
  for await (const { type, object } of watch<Stored<Event>>(session, call)) {
    if (type === "BOOKMARK" || type === "DELETED" || !wanted(object)) continue;
    io.out(`${elastic(row(object, io.now(), everywhere), { widthMin: 6, padding: 3 })}\n`);
  }
}

export const define: VerbModule["define"] = (command, io) => {
  command
    .option("-A, --all-namespaces", "in all namespaces")
    .option("--for <type/name>", "about this object alone")
    .option("--types <list>", "Normal, Warning")
    .option("-w, --watch", "go on showing new ones")
    .option("--no-headers", "leave out the heads of columns")
    .option("-o, --output <form>", "yaml, json, name, jsonpath=…");
  act(command, io, show);
};
