/** What a list, watch or collection is about: where it looks, and which objects it lets through. */
import type { Call } from "#api/core.ts";
import { refuse } from "#api/errors.ts";
import type { Resource } from "#api/registry.ts";
import { messageOf } from "#base/errors.ts";
import { parseFieldSelector, parseLabelSelector } from "#resources/selector.ts";
import type { FieldValue, Terms } from "#store/store.ts";

export type Filter = (terms: Terms) => boolean;

export interface Selection {
  /** Prefix of the store's keys. */
  readonly prefix: string;
  readonly filter: Filter | undefined;
  /**
   * The filter looks at fields that only the asked version of a custom resource knows: it judges
   * items in that version, not as they are stored.
   */
  readonly late?: boolean;
  /** A value that the filter asks of a stored field: watches are looked up by it. */
  readonly field?: FieldValue;
  /** Of the filter: the same name, the same filter. */
  readonly name?: string;
}

function labelFilter(text: string): Filter {
  try {
    const matches = parseLabelSelector(text);
    return (terms) => matches(terms.labels);
  } catch (error) {
    throw refuse.badRequest(messageOf(error));
  }
}

/** Another version's field labels, as the stored version knows them. */
function known(resource: Resource, field: string): boolean {
  if (resource.fields.has(field)) return true;
  return !resource.custom && resource.stored.fields.has(field);
}

const isLate = (resource: Resource, fields: string): boolean =>
  resource.custom &&
  !parseFieldSelector(fields).fields.every((name) => name.startsWith("metadata."));

interface FieldFilter {
  readonly filter: Filter;
  readonly field?: FieldValue;
}

function fieldFilter(resource: Resource, text: string): FieldFilter {
  let selector: ReturnType<typeof parseFieldSelector>;
  try {
    selector = parseFieldSelector(text);
  } catch (error) {
    throw refuse.badRequest(messageOf(error));
  }
  const stray = selector.fields.find((field) => !known(resource, field));
  if (stray !== undefined) {
    // Kinds with fields of their own say it in other words.
    const own = [...resource.fields].some((field) => !field.startsWith("metadata."));
    throw refuse.badRequest(
      own || resource.custom
        ? `field label not supported: ${stray}`
        : `"${stray}" is not a known field selector: only "metadata.name", "metadata.namespace"`,
    );
  }
  const names = Object.entries(resource.kind.storedAs?.fieldNames ?? {});
  if (names.length === 0) {
    const asked = selector.terms.find(({ equal }) => equal);
    const field = asked && { name: asked.field, value: asked.value };
    return { filter: (terms) => selector.matches(terms.fields), ...(field && { field }) };
  }
  const filter: Filter = ({ fields }) => {
    const own = names.map(([here, stored]) => [here, fields[stored] ?? ""]);
    return selector.matches({ ...fields, ...Object.fromEntries(own) });
  };
  return { filter };
}

export function selectionOf(call: Pick<Call, "resource" | "target" | "query">): Selection {
  const { resource, target, query } = call;
  const { namespace } = target;
  const prefix =
    namespace !== undefined && resource.kind.namespaced
      ? `${resource.bucket}/${namespace}/`
      : `${resource.bucket}/`;
  if (query.size === 0) return { prefix, filter: undefined };
  const filters: Filter[] = [];
  const labels = query.get("labelSelector") ?? "";
  if (labels !== "") filters.push(labelFilter(labels));
  const fields = query.get("fieldSelector") ?? "";
  const asked = fields === "" ? undefined : fieldFilter(resource, fields);
  if (asked !== undefined) filters.push(asked.filter);
  const [first, second] = filters;
  const late = fields !== "" && isLate(resource, fields);
  const more = late ? { late } : { ...(asked?.field && { field: asked.field }) };
  if (first === undefined) return { prefix, filter: first };
  const name = JSON.stringify([resource.apiVersion, labels, fields]);
  if (second === undefined) return { prefix, filter: first, name, ...more };
  return { prefix, filter: (terms) => filters.every((filter) => filter(terms)), name, ...more };
}

/** Only the object that a path names, for a watch of one object. */
export function onlyNamed(selection: Selection, name: string): Selection {
  const { filter, name: _, ...others } = selection;
  return {
    ...others,
    ...(selection.late !== true && { field: { name: "metadata.name", value: name } }),
    filter: (terms) =>
      terms.fields["metadata.name"] === name && (filter === undefined || filter(terms)),
  };
}
