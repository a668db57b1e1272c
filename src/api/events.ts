/** The lines of a watch, encoded once for all watchers that want the same form of a change. */
import { stampRevision } from "#api/codec.ts";
import type { Call, Core } from "#api/core.ts";
import type { Status } from "#api/errors.ts";
import type { Form } from "#api/negotiate.ts";
import { inVersion, textInVersion } from "#api/read.ts";
import { metadataOf, tableOf } from "#api/table.ts";
import type { ApiObject } from "#resources/meta.ts";
import { encodeWatchFrame } from "#resources/protobuf.ts";
import type { Change, Item } from "#store/store.ts";

export type EventType = "ADDED" | "MODIFIED" | "DELETED";

const encoder = new TextEncoder();

const line = (type: string, object: string): Uint8Array =>
  encoder.encode(`{"type":"${type}","object":${object}}\n`);

const frame = (type: string, object: string): Uint8Array =>
  encodeWatchFrame(type, JSON.parse(object) as object);

/** What a watcher makes of changes. */
export interface Telling {
  /** It hears of all of them, as others do. */
  readonly all: boolean;
  /** What a change is to it; undefined: nothing. */
  readonly typeOf: (change: Change) => EventType | undefined;
}

/**
 * Encoded forms of the changes that are told together, and of each alone. They go with the array
 * that all who are told share: the changes themselves stay in the history for minutes.
 */
const shared = new WeakMap<readonly Change[], Map<string, Uint8Array>>();

export class EventEncoder {
  readonly #core: Core;
  readonly #call: Call;
  readonly #form: Form;
  /** Watchers of one form share bytes; the columns of a table go out only once for each. */
  readonly #formKey: string;
  readonly #encode: (type: string, object: string) => Uint8Array;
  #columnsSent = false;

  constructor(core: Core, call: Call, form: Form) {
    this.#core = core;
    this.#call = call;
    this.#form = form;
    const { kind } = call.resource;
    const include = call.query.get("includeObject") ?? "";
    this.#encode = form.encoding === "protobuf" ? frame : line;
    this.#formKey = `${form.encoding}/${form.as}/${kind.group}/${kind.version}/${include}`;
  }

  /** What was there when the watch began. */
  present(item: Item): Uint8Array {
    return this.#encode("ADDED", this.#text(item));
  }

  /** The events of these changes in one piece; undefined: there is none. */
  changes(changes: readonly Change[], { all, typeOf }: Telling): Uint8Array | undefined {
    let forms = shared.get(changes);
    if (forms === undefined) {
      forms = new Map();
      shared.set(changes, forms);
    }
    const whole = all && !this.#withColumns;
    const known = whole ? forms.get(this.#formKey) : undefined;
    if (known !== undefined) return known;
    const pieces: Uint8Array[] = [];
    for (const change of changes) {
      const type = typeOf(change);
      if (type !== undefined) pieces.push(this.#piece(forms, type, change));
    }
    const [first] = pieces;
    if (first === undefined) return undefined;
    const bytes = pieces.length === 1 ? first : Buffer.concat(pieces);
    if (whole) forms.set(this.#formKey, bytes);
    return bytes;
  }

  /** The next event of a table names the columns: it is for this watcher alone. */
  get #withColumns(): boolean {
    return this.#form.as === "table" && !this.#columnsSent;
  }

  #piece(forms: Map<string, Uint8Array>, type: EventType, change: Change): Uint8Array {
    const make = (): Uint8Array => this.#encode(type, this.#text(this.#shown(type, change)));
    if (this.#withColumns) return make();
    const key = `${change.revision} ${type} ${this.#formKey}`;
    const bytes = forms.get(key) ?? make();
    forms.set(key, bytes);
    return bytes;
  }

  /**
   * An object that a selector ceased to match is shown as it was, at the revision of the change.
   */
  #shown(type: EventType, change: Change): Item {
    if (type !== "DELETED" || change.type === "delete" || change.previous === undefined) {
      return change.item;
    }
    const { previous } = change;
    const value = stampRevision(previous.value, change.revision);
    return { ...previous, value, revision: change.revision };
  }

  #text(item: Item): string {
    if (this.#form.as === "object") return textInVersion(this.#call.resource, item);
    const object = inVersion(this.#call.resource, item);
    if (this.#form.as === "metadata") return JSON.stringify(metadataOf(object));
    const { resourceVersion } = object.metadata;
    const withColumns = !this.#columnsSent;
    this.#columnsSent = true;
    return JSON.stringify(
      tableOf(this.#core, this.#call, [object], { resourceVersion }, withColumns),
    );
  }

  /** Tells a revision up to which nothing is missing. */
  bookmark(revision: number, endOfInitial: boolean): Uint8Array {
    const { kind, apiVersion } = this.#call.resource;
    const object: ApiObject = {
      kind: kind.kind,
      apiVersion,
      metadata: {
        resourceVersion: String(revision),
        ...(endOfInitial && { annotations: { "k8s.io/initial-events-end": "true" } }),
      },
    };
    if (this.#form.as === "object") return this.#encode("BOOKMARK", JSON.stringify(object));
    if (this.#form.as === "metadata")
      return this.#encode("BOOKMARK", JSON.stringify(metadataOf(object)));
    const withColumns = !this.#columnsSent;
    this.#columnsSent = true;
    const table = tableOf(
      this.#core,
      this.#call,
      [],
      { resourceVersion: String(revision) },
      withColumns,
    );
    return this.#encode(
      "BOOKMARK",
      JSON.stringify({ ...table, rows: [{ cells: [], object: metadataOf(object) }] }),
    );
  }

  error(status: Status): Uint8Array {
    return this.#encode("ERROR", JSON.stringify(status));
  }
}
