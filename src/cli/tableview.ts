/** The server's tables, and how `get` shows them. */
import { send } from "#cli/api.ts";
import { type Resource, typeName } from "#cli/resources.ts";
import { isSet, type Options, type Session, textOf } from "#cli/session.ts";
import { sortBy } from "#cli/sort.ts";
import { Columns } from "#cli/table.ts";
import type { ListQuery } from "#cli/targets.ts";
import { labelsText } from "#resources/columns/text.ts";
import type { ApiObject } from "#resources/meta.ts";

export interface Row {
  cells: unknown[];
  object?: ApiObject;
}

export interface Table {
  kind?: string;
  metadata?: { resourceVersion?: string; continue?: string };
  columnDefinitions?: Array<{ name: string; priority: number }> | null;
  rows: Row[];
}

export const TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const PAGE = 500;

/** All pages of a list, or one object, as a table. A path to sort by needs the whole objects. */
export async function fetchTable(
  session: Session,
  path: string,
  { labelSelector, fieldSelector }: ListQuery,
  sortPath?: string,
): Promise<Table> {
  const rows: Row[] = [];
  let head: Table | undefined;
  let next: string | undefined;
  const includeObject = sortPath === undefined ? undefined : "Object";
  do {
    const query = { labelSelector, fieldSelector, limit: PAGE, continue: next, includeObject };
    const response = await send(session.client, { path, query, accept: TABLE });
    const page = (await response.json()) as Table;
    head ??= page;
    rows.push(...(page.rows ?? []));
    next = page.metadata?.continue;
  } while (next);
  return { ...head, rows: sortBy(rows, sortPath, ({ object }) => object) };
}

const cellText = (cell: unknown): string => (cell === null ? "<none>" : String(cell));

/** Rows of one type as text. Used again and again in a watch, it keeps its columns. */
export class TableView {
  readonly #columns = new Columns();
  readonly #shown: { wide: boolean; namespace: boolean; kind: boolean; labels: boolean };
  readonly #labelKeys: string[];
  readonly #resource: Resource;
  #headers: boolean;
  #definitions: Array<{ name: string; priority: number }> = [];

  constructor(resource: Resource, options: Options, severalTypes: boolean) {
    this.#resource = resource;
    this.#headers = options["headers"] !== false;
    this.#labelKeys = ((options["labelColumns"] as string[] | undefined) ?? []).flatMap((each) =>
      each.split(","),
    );
    this.#shown = {
      wide: textOf(options, "output") === "wide",
      namespace: isSet(options, "allNamespaces") && resource.namespaced,
      kind: severalTypes || isSet(options, "showKind"),
      labels: isSet(options, "showLabels"),
    };
  }

  #row({ cells, object }: Row): string[] {
    const { wide, namespace, kind, labels } = this.#shown;
    const shown = cells
      .filter((_, at) => wide || (this.#definitions[at]?.priority ?? 0) === 0)
      .map(cellText);
    if (kind) shown[0] = `${typeName(this.#resource)}/${shown[0] ?? ""}`;
    if (namespace) shown.unshift(object?.metadata?.namespace ?? "");
    for (const key of this.#labelKeys) shown.push(object?.metadata?.labels?.[key] ?? "");
    if (labels) shown.push(labelsText(object?.metadata?.labels));
    return shown;
  }

  #head(): string[] {
    const { wide, namespace, labels } = this.#shown;
    const names = this.#definitions
      .filter(({ priority }) => wide || priority === 0)
      .map(({ name }) => name.toUpperCase());
    if (namespace) names.unshift("NAMESPACE");
    for (const key of this.#labelKeys) names.push((key.split("/").at(-1) ?? key).toUpperCase());
    if (labels) names.push("LABELS");
    return names;
  }

  /**
   * The head is there once, unless `--no-headers`. `events` is a first column of kinds of change.
   */
  text(table: Table, event?: string): string {
    if (table.columnDefinitions) this.#definitions = table.columnDefinitions;
    const rows = table.rows.map((row) => this.#row(row));
    if (event !== undefined) for (const row of rows) row.unshift(event);
    const head = this.#headers ? [this.#head()] : [];
    if (event !== undefined) head[0]?.unshift("EVENT");
    this.#headers = false;
    return this.#columns.lines([...head, ...rows]);
  }
}
