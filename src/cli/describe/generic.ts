/** Any other kind: its fields, with spaces in their names. */
import {
  type Describe,
  describeEvents,
  describeLabels,
  describeName,
} from "#cli/describe/common.ts";
import type { Writer } from "#cli/describe/writer.ts";

/** Shown above, or of no use to a reader. */
const LEFT_OUT = new Set(["apiVersion", "kind", "metadata"]);
const SHOWN_ABOVE = new Set(["name", "namespace", "labels", "annotations", "managedFields"]);
const SHORT = new Map([
  ["api", "API"],
  ["ip", "IP"],
  ["url", "URL"],
  ["uid", "UID"],
  ["osb", "OSB"],
  ["gitops", "GITOPS"],
]);

/** `maxReplicas` as `Max Replicas`; a key that is no field's name stays as it is. */
function labelOf(key: string): string {
  if (/[^A-Za-z0-9]/.test(key)) return key;
  return key
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .split(" ")
    .map((word) => SHORT.get(word.toLowerCase()) ?? word.charAt(0).toUpperCase() + word.slice(1))
    .join(" ");
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function describeList(writer: Writer, level: number, label: string, list: readonly unknown[]) {
  writer.line(level, `${label}:`);
  for (const each of list) {
    if (isMap(each)) describeFields(writer, level + 1, each);
    else if (Array.isArray(each)) describeList(writer, level + 1, "-", each);
    else writer.line(level + 1, String(each));
  }
}

function describeFields(writer: Writer, level: number, map: Readonly<Record<string, unknown>>) {
  for (const key of Object.keys(map).sort()) {
    const value = map[key];
    const label = labelOf(key);
    if (isMap(value)) {
      writer.line(level, `${label}:`);
      describeFields(writer, level + 1, value);
    } else if (Array.isArray(value)) describeList(writer, level, label, value);
    else writer.field(level, label, value === null ? "<nil>" : String(value).split("\n"));
  }
}

export const describeAny: Describe = async (writer, object, session) => {
  describeName(writer, object);
  describeLabels(writer, object);
  writer.field(0, "API Version", object.apiVersion ?? "");
  writer.field(0, "Kind", object.kind ?? "");
  const metadata = Object.entries(object.metadata).filter(([key]) => !SHOWN_ABOVE.has(key));
  writer.line(0, "Metadata:");
  describeFields(writer, 1, Object.fromEntries(metadata));
  const rest = Object.entries(object).filter(([key]) => !LEFT_OUT.has(key));
  describeFields(writer, 0, Object.fromEntries(rest));
  await describeEvents(writer, object, session);
};
