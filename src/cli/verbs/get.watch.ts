/** `get --watch`: the present state, then every change as it comes. */
import { ask } from "#cli/api.ts";
import type { Printer } from "#cli/output.ts";
import { isSet, type Options, type Session, textOf } from "#cli/session.ts";
import { fetchTable, TABLE, type Table, TableView } from "#cli/tableview.ts";
import { collectionPath, listAll } from "#cli/targets.ts";
import type { Query } from "#cli/verbs/get.ts";
import { watch } from "#cli/watching.ts";
import { pathOf } from "#client/http.ts";
import type { Stored } from "#resources/meta.ts";

function selectorsOf({ name }: Query, options: Options) {
  const named = name === undefined ? [] : [`metadata.name=${name}`];
  const given = textOf(options, "fieldSelector");
  const fields = [...named, ...(given === undefined ? [] : [given])];
  return {
    labelSelector: textOf(options, "selector"),
    fieldSelector: fields.length === 0 ? undefined : fields.join(","),
  };
}

/** @throws StatusFailure 404 where one object is asked for that is not there. */
async function mustExist(session: Session, query: Query): Promise<void> {
  const { resource, namespace, name } = query;
  if (name !== undefined)
    await ask(session.client, { path: pathOf(resource, { namespace, name }) });
}

export async function followTable(session: Session, query: Query, options: Options) {
  const { io } = session;
  const path = collectionPath(query.resource, query.namespace);
  const selectors = selectorsOf(query, options);
  const view = new TableView(query.resource, options, false);
  const withEvents = isSet(options, "outputWatchEvents");
  await mustExist(session, query);
  const table = await fetchTable(session, path, selectors);
  const shown = !isSet(options, "watchOnly") && table.rows.length > 0;
  if (shown) io.out(view.text(table, withEvents ? "ADDED" : undefined));
  const resourceVersion = table.metadata?.resourceVersion;
  const call = { path, query: { ...selectors, resourceVersion }, accept: TABLE };
  for await (const { type, object } of watch<Table>(session, call)) {
    if (type === "BOOKMARK" || !Array.isArray(object.rows)) continue;
    io.out(view.text(object, withEvents ? type : undefined));
  }
}

export async function followObjects(
  session: Session,
  query: Query,
  options: Options,
  print: Printer,
) {
  const { io } = session;
  const path = collectionPath(query.resource, query.namespace);
  const selectors = selectorsOf(query, options);
  await mustExist(session, query);
  const { items, resourceVersion } = await listAll(session, path, selectors);
  const show = (object: Stored): void => {
    const { managedFields: _, ...metadata } = object.metadata;
    const kept = isSet(options, "showManagedFields") ? object : { ...object, metadata };
    const { kind, group, version } = query.resource;
    const apiVersion = group === "" ? version : `${group}/${version}`;
    io.out(print({ apiVersion, kind, ...kept }));
  };
  if (!isSet(options, "watchOnly")) for (const item of items) show(item);
  const call = { path, query: { ...selectors, resourceVersion } };
  for await (const { type, object } of watch<Stored>(session, call)) {
    if (type !== "BOOKMARK") show(object);
  }
}
