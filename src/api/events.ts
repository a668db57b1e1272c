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

const shared = new WeakMap<Change, Map<string, Uint8Array>>();

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

  change(type: EventType, change: Change): Uint8Array {
    if (this.#form.as === "table" && !this.#columnsSent) {
      return this.#encode(type, this.#text(this.#shown(type, change)));
    }
    let forms = shared.get(change);
    if (forms === undefined) {
      forms = new Map();
      shared.set(change, forms);
    }
    const key = `${type} ${this.#formKey}`;
    let bytes = forms.get(key);
    if (bytes === undefined) {
      bytes = this.#encode(type, this.#text(this.#shown(type, change)));
      forms.set(key, bytes);
    }
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
