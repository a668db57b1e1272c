/** Watchers that look at the same, and which of them a change concerns. */
import { assert } from "#base/assert.ts";
import { bucketOf } from "#store/objects.ts";
import type { Change, FieldValue } from "#store/store.ts";

export interface Group<W> {
  readonly prefix: string;
  readonly field: FieldValue | undefined;
  /** Told in the turn of the change. */
  readonly prompt: Set<W>;
  /** Told when it is the group's turn: of what is pending by then. */
  readonly patient: Set<W>;
  pending: Change[];
  /** What the patient are being told, and who has not been yet. */
  telling: { readonly changes: readonly Change[]; readonly rest: Set<W> } | undefined;
}

/** The groups of one prefix. */
interface Place<W> {
  everything: Group<W> | undefined;
  /** By the name of a field, and its value. */
  readonly fields: Map<string, Map<string, Group<W>>>;
}

export class Groups<W> {
  readonly #places = new Map<string, Place<W>>();

  /** Prefixes that somebody watches. */
  get size(): number {
    return this.#places.size;
  }

  *all(): Generator<Group<W>> {
    for (const { everything, fields } of this.#places.values()) {
      if (everything !== undefined) yield everything;
      for (const values of fields.values()) yield* values.values();
    }
  }

  clear(): void {
    this.#places.clear();
  }

  join(prefix: string, field: FieldValue | undefined): Group<W> {
    assert(prefix.endsWith("/") && bucketOf(prefix) !== "", `prefix "${prefix}" is a bucket's`);
    const place: Place<W> = this.#places.get(prefix) ?? {
      everything: undefined,
      fields: new Map(),
    };
    this.#places.set(prefix, place);
    const make = (): Group<W> => ({
      ...{ prefix, field, pending: [], telling: undefined },
      ...{ prompt: new Set<W>(), patient: new Set<W>() },
    });
    if (field === undefined) {
      place.everything ??= make();
      return place.everything;
    }
    const values = place.fields.get(field.name) ?? new Map<string, Group<W>>();
    place.fields.set(field.name, values);
    const group = values.get(field.value) ?? make();
    values.set(field.value, group);
    return group;
  }

  /** Forgets a group that nobody is in any more. */
  leave(group: Group<W>): void {
    const { prefix, field } = group;
    const place = this.#places.get(prefix);
    if (place === undefined) return;
    if (field === undefined) {
      if (place.everything === group) place.everything = undefined;
    } else {
      const values = place.fields.get(field.name);
      if (values?.get(field.value) === group) values.delete(field.value);
      if (values?.size === 0) place.fields.delete(field.name);
    }
    if (place.everything === undefined && place.fields.size === 0) this.#places.delete(prefix);
  }

  /** The changes of each group that has any, in their order. */
  sort(changes: readonly Change[]): Map<Group<W>, Change[]> {
    const sorted = new Map<Group<W>, Change[]>();
    const note = (group: Group<W> | undefined, change: Change): void => {
      if (group === undefined) return;
      const list = sorted.get(group);
      if (list === undefined) sorted.set(group, [change]);
      else if (list.at(-1) !== change) list.push(change);
    };
    for (const change of changes) {
      const { key } = change.item;
      for (let slash = bucketOf(key).length; slash > 0; slash = key.indexOf("/", slash) + 1) {
        const place = this.#places.get(key.slice(0, slash));
        if (place === undefined) continue;
        note(place.everything, change);
        for (const [name, values] of place.fields) {
          note(values.get(change.item.terms.fields[name] ?? ""), change);
          // Who looked at what it was hears that it is that no more.
          if (change.previous !== undefined) {
            note(values.get(change.previous.terms.fields[name] ?? ""), change);
          }
        }
      }
    }
    return sorted;
  }
}
