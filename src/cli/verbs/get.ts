/** bramble get: objects as tables that the server lays out, or whole in another form. */
import { OperatorError, UsageError } from "#base/errors.ts";
import { ask, StatusFailure } from "#cli/api.ts";
import { nameText, type Printer, printerFor } from "#cli/output.ts";
import { discover, type Resource, typeName } from "#cli/resources.ts";
import {
  act,
  collected,
  explain,
  isSet,
  type Options,
  type Session,
  textOf,
} from "#cli/session.ts";
import { sortObjects } from "#cli/sort.ts";
import { fetchTable, type Table, TableView } from "#cli/tableview.ts";
import {
  collectionPath,
  filesOf,
  listAll,
  parseSelections,
  type Selection,
  targetPath,
  targetsOf,
} from "#cli/targets.ts";
import { ExitStatus, type VerbModule } from "#cli/verb.ts";
import { followObjects, followTable } from "#cli/verbs/get.watch.ts";
import type { ApiObject } from "#resources/meta.ts";

/** One request: a collection, or one object of it. */
export interface Query {
  resource: Resource;
  namespace: string | undefined;
  name: string | undefined;
}

function queriesOf(session: Session, selections: readonly Selection[], options: Options): Query[] {
  const everywhere = isSet(options, "allNamespaces");
  return selections.flatMap(({ resource, names }) => {
    if (names.length > 0 && everywhere && resource.namespaced) {
      throw new UsageError("a resource cannot be retrieved by name across all namespaces");
    }
    const namespace = resource.namespaced && !everywhere ? session.namespace : undefined;
    const wanted = names.length > 0 ? names : [undefined];
    return wanted.map((name) => ({ resource, namespace, name }));
  });
}

async function queries(session: Session, args: string[], options: Options): Promise<Query[]> {
  if (filesOf(options).length > 0) return targetsOf(session, args, options);
  if (args.length === 0) {
    throw new UsageError("Required resource not specified.", {
      hint: 'Use "bramble api-resources" for a complete list of supported resources.',
    });
  }
  const all = await discover(session.client);
  return queriesOf(session, parseSelections(all, args), options);
}

const selectors = (options: Options) => ({
  labelSelector: textOf(options, "selector"),
  fieldSelector: textOf(options, "fieldSelector"),
});

export const pathFor = ({ resource, namespace, name }: Query): string =>
  name === undefined
    ? collectionPath(resource, namespace)
    : targetPath({ resource, namespace, name });

/** Runs `each` for all; what fails is said after the rest, as kubectl does. */
async function forEach<T>(
  session: Session,
  options: Options,
  all: readonly Query[],
  each: (query: Query) => Promise<T>,
): Promise<{ results: T[]; status: number }> {
  const results: T[] = [];
  const failures: unknown[] = [];
  for (const query of all) {
    try {
      results.push(await each(query));
    } catch (error) {
      const missing = error instanceof StatusFailure && error.code === 404;
      if (missing && isSet(options, "ignoreNotFound")) continue;
      if (!(error instanceof StatusFailure)) throw error;
      failures.push(error);
    }
  }
  return {
    results,
    get status() {
      return Math.max(0, ...failures.map((error) => explain(error, session.io)));
    },
  };
}

function stripped(object: ApiObject, options: Options): ApiObject {
  if (isSet(options, "showManagedFields")) return object;
  const { managedFields: _, ...metadata } = object.metadata ?? {};
  return { ...object, metadata };
}

async function showObjects(
  session: Session,
  all: readonly Query[],
  options: Options,
  print: Printer,
): Promise<number> {
  const found = await forEach(session, options, all, async (query) => {
    if (query.name !== undefined) return [await ask(session.client, { path: pathFor(query) })];
    const { items } = await listAll(session, pathFor(query), selectors(options));
    const { group, version, kind } = query.resource;
    const apiVersion = group === "" ? version : `${group}/${version}`;
    return items.map((item) => ({ apiVersion, kind, ...item }));
  });
  const items = sortObjects(found.results.flat(), textOf(options, "sortBy")).map((each) =>
    stripped(each, options),
  );
  const [only] = items;
  const single = all.length === 1 && all[0]?.name !== undefined;
  if (single && only !== undefined) session.io.out(print(only));
  else if (!single) {
    const list = { apiVersion: "v1", items, kind: "List", metadata: { resourceVersion: "" } };
    session.io.out(print(list as ApiObject));
  }
  return found.status;
}

async function showNames(session: Session, all: readonly Query[], options: Options) {
  const found = await forEach(session, options, all, async (query) => {
    const type = typeName(query.resource);
    if (query.name !== undefined) {
      return [nameText(type, await ask(session.client, { path: pathFor(query) }))];
    }
    const { items } = await listAll(session, pathFor(query), selectors(options));
    return items.map((item) => nameText(type, item));
  });
  session.io.out(found.results.flat().join(""));
  return found.status;
}

function nothingFound(session: Session, all: readonly Query[], options: Options): string {
  const scoped = all.every(({ resource }) => resource.namespaced);
  const where = scoped && !isSet(options, "allNamespaces");
  return where ? `No resources found in ${session.namespace} namespace.\n` : "No resources found\n";
}

/** Tables of the same type under one head; with several types each row says its own. */
function joined(tables: ReadonlyArray<{ query: Query; table: Table }>) {
  const groups: Array<{ query: Query; table: Table }> = [];
  for (const each of tables) {
    const last = groups.at(-1);
    const same = last?.query.resource === each.query.resource;
    if (last === undefined || !same) groups.push({ ...each, table: { ...each.table } });
    else last.table.rows = [...last.table.rows, ...each.table.rows];
  }
  return groups;
}

async function showTables(
  session: Session,
  all: readonly Query[],
  options: Options,
): Promise<number> {
  const { io } = session;
  const sortBy = textOf(options, "sortBy");
  const found = await forEach(session, options, all, async (query) => {
    const table = await fetchTable(session, pathFor(query), selectors(options), sortBy);
    return { query, table };
  });
  const groups = joined(found.results).filter(({ table }) => table.rows.length > 0);
  const types = new Set(all.map(({ resource }) => resource));
  for (const [at, { query, table }] of groups.entries()) {
    const view = new TableView(query.resource, options, types.size > 1);
    io.out(`${at > 0 ? "\n" : ""}${view.text(table)}`);
  }
  const { status } = found;
  if (groups.length === 0 && status === 0 && !isSet(options, "ignoreNotFound")) {
    io.err(nothingFound(session, all, options));
  }
  return status;
}

async function get(session: Session, args: string[], options: Options): Promise<void> {
  const form = textOf(options, "output") ?? "";
  const all = await queries(session, args, options);
  const print = form === "" || form === "wide" || form === "name" ? undefined : printerFor(form);
  if (isSet(options, "watch") || isSet(options, "watchOnly")) {
    const [query] = all;
    if (query === undefined || all.length > 1) {
      throw new OperatorError("you may only specify a single resource type");
    }
    const type = typeName(query.resource);
    if (form === "name") await followObjects(session, query, options, (o) => nameText(type, o));
    else if (print !== undefined) await followObjects(session, query, options, print);
    else await followTable(session, query, options);
    return;
  }
  const status =
    form === "name"
      ? await showNames(session, all, options)
      : print === undefined
        ? await showTables(session, all, options)
        : await showObjects(session, all, options, print);
  if (status !== 0) throw new ExitStatus(status);
}

export const define: VerbModule["define"] = (command, io) => {
  command
    .option("-o, --output <form>", "wide, yaml, json, name, jsonpath=…, custom-columns=…")
    .option("-A, --all-namespaces", "in all namespaces")
    .option("-l, --selector <labels>", "only objects with these labels")
    .option("--field-selector <fields>", "only objects with these fields")
    .option("-f, --filename <file>", "objects that a file names", collected)
    .option("-R, --recursive", "take folders with all that is below them")
    .option("-w, --watch", "go on showing changes")
    .option("--watch-only", "show changes alone")
    .option("--output-watch-events", "say what kind of change each is")
    .option("--no-headers", "leave out the heads of columns")
    .option("--show-labels", "add a column of all labels")
    .option("-L, --label-columns <keys>", "add columns of these labels", collected)
    .option("--show-kind", "say the type before each name")
    .option("--sort-by <path>", "JSONPath of what to sort by")
    .option("--ignore-not-found", "what is not there is no failure")
    .option("--show-managed-fields", "keep managedFields in yaml and json")
    .option("--chunk-size <count>", "accepted; pages have 500 objects");
  act(command, io, get);
};
