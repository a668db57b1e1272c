/** The words of tables: durations, ages, labels and selectors as `kubectl get` shows them. */
import type { Column } from "#resources/kind.ts";
import type { ApiObject } from "#resources/meta.ts";
import type { Container, LabelSelector, LabelSelectorRequirement } from "#resources/types.gen.ts";

const MINUTE = 60;
const HOUR = 3600;
const DAY = 24;
const YEAR = 365;

/** `12d`, or `7d5h` where the rest still tells something. */
const twoUnits = (large: number, unit: string, small: number, smallUnit: string): string =>
  small === 0 ? `${large}${unit}` : `${large}${unit}${small}${smallUnit}`;

/** A duration in milliseconds in two or three significant digits (apimachinery util/duration). */
export function humanDuration(durationMs: number): string {
  const seconds = Math.trunc(durationMs / 1000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 2 * MINUTE) return `${seconds}s`;
  const minutes = Math.trunc(seconds / MINUTE);
  if (minutes < 10) return twoUnits(minutes, "m", seconds % MINUTE, "s");
  if (minutes < 3 * MINUTE) return `${minutes}m`;
  const hours = Math.trunc(seconds / HOUR);
  if (hours < 8) return twoUnits(hours, "h", minutes % MINUTE, "m");
  if (hours < 2 * DAY) return `${hours}h`;
  const days = Math.trunc(hours / DAY);
  if (days < 8) return twoUnits(days, "d", hours % DAY, "h");
  if (days < 2 * YEAR) return `${days}d`;
  const years = Math.trunc(days / YEAR);
  return years < 8 ? twoUnits(years, "y", days % YEAR, "d") : `${years}y`;
}

/** How long ago a timestamp was; `now` in milliseconds. */
export function age(timestamp: string | undefined, now: number): string {
  const at = timestamp ? Date.parse(timestamp) : Number.NaN;
  return Number.isNaN(at) ? "<unknown>" : humanDuration(now - at);
}

export const nameColumn: Column<ApiObject> = {
  name: "Name",
  format: "name",
  cell: (object) => object.metadata?.name ?? "",
};

export const ageColumn: Column<ApiObject> = {
  name: "Age",
  cell: (object, now) => age(object.metadata?.creationTimestamp, now),
};

/** What kinds without own columns show beside the name. */
export const createdColumn: Column<ApiObject> = {
  name: "Created At",
  type: "date",
  cell: (object) => object.metadata?.creationTimestamp ?? null,
};

/** `a=b,c=d`, or `<none>`. */
export function labelsText(labels: Readonly<Record<string, string>> | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? "<none>" : pairs.sort().join(",");
}

function requirementText(requirement: LabelSelectorRequirement): string {
  const { key = "", operator } = requirement;
  const values = [...(requirement.values ?? [])].sort().join(",");
  if (operator === "Exists") return key;
  if (operator === "DoesNotExist") return `!${key}`;
  return `${key} ${operator === "In" ? "in" : "notin"} (${values})`;
}

/** A selector as its text form; empty for one that selects nothing or everything. */
export function selectorText(selector: LabelSelector | undefined): string {
  const labels = Object.entries(selector?.matchLabels ?? {});
  const expressions = selector?.matchExpressions ?? [];
  return [
    ...labels.map(([key, value]) => ({ key, text: `${key}=${value}` })),
    ...expressions.map((each) => ({ key: each.key, text: requirementText(each) })),
  ]
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ text }) => text)
    .join(",");
}

export const selectorOrNone = (selector: LabelSelector | undefined): string =>
  selectorText(selector) || "<none>";

type Template = { spec?: { containers?: Container[] } } | undefined;

/** Columns of everything that has a template of pods. */
export const containerColumns = <T>(template: (object: T) => Template): Column<T>[] => [
  {
    name: "Containers",
    priority: 1,
    cell: (object) =>
      (template(object)?.spec?.containers ?? []).map((container) => container.name).join(","),
  },
  {
    name: "Images",
    priority: 1,
    cell: (object) =>
      (template(object)?.spec?.containers ?? [])
        .map((container) => container.image ?? "")
        .join(","),
  },
];

/** Up to `max` of a list, and how many more there are. */
export function someOf(list: readonly string[], max: number, empty: string): string {
  const shown = list.slice(0, max).join(",");
  if (shown === "") return empty;
  return list.length > max ? `${shown} + ${list.length - max} more...` : shown;
}
