/** Text with levels, its cells ended by tabs, and the values that descriptions show. */
import type { Quantity } from "#resources/types.gen.ts";

export class Writer {
  #text = "";

  /** One line, two spaces in for each level. */
  line(level: number, text: string): this {
    this.#text += `${"  ".repeat(level)}${text}\n`;
    return this;
  }

  /** A name and its value: the first on the name's line, each further one below it. */
  field(level: number, name: string, value: string | readonly string[]): this {
    const [first = "<none>", ...rest] = typeof value === "string" ? [value] : value;
    this.line(level, `${name}:\t${first}`);
    for (const each of rest) this.line(level, `\t${each}`);
    return this;
  }

  /** Rows of a table below their heads, which are underlined where it is so upstream. */
  table(level: number, rows: ReadonlyArray<readonly string[]>): this {
    for (const row of rows) this.line(level, row.join("\t"));
    return this;
  }

  get text(): string {
    return this.#text;
  }
}

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = "Jan,Feb,Mar,Apr,May,Jun,Jul,Aug,Sep,Oct,Nov,Dec".split(",");
const two = (value: number): string => String(value).padStart(2, "0");

/** RFC 1123 with a numeric zone. */
export function timeText(time: string | undefined): string {
  if (time === undefined) return "<unset>";
  const date = new Date(time);
  const day = `${DAYS[date.getUTCDay()]}, ${two(date.getUTCDate())} ${MONTHS[date.getUTCMonth()]}`;
  const clock = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(":");
  return `${day} ${date.getUTCFullYear()} ${clock} +0000`;
}

/** `app=web`, one a line. */
export function pairLines(
  map: Readonly<Record<string, string>> | undefined,
  separator = "=",
): string[] {
  const keys = Object.keys(map ?? {}).sort();
  return keys.map((key) => `${key}${separator}${map?.[key] ?? ""}`);
}

export const pairsText = (map: Readonly<Record<string, string>> | undefined): string =>
  pairLines(map).join(",") || "<none>";

const HIDDEN = "kubectl.kubernetes.io/last-applied-configuration";
const ANNOTATION_COLUMNS_MAX = 140;

/** Short ones beside their key, long ones below it. */
export function annotationLines(map: Readonly<Record<string, string>> | undefined): string[] {
  const shown = Object.entries(map ?? {}).filter(([key]) => key !== HIDDEN);
  return shown
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([key, value]) => {
      const long = value.length + key.length + 2 > ANNOTATION_COLUMNS_MAX || value.includes("\n");
      if (!long) return [`${key}: ${value}`];
      return [
        `${key}:`,
        ...value
          .trimEnd()
          .split("\n")
          .map((line) => `  ${line}`),
      ];
    });
}

export function quantityLines(map: Readonly<Record<string, Quantity>> | undefined): string[] {
  const keys = Object.keys(map ?? {}).sort();
  return keys.map((key) => `${key}:\t${String(map?.[key] ?? "")}`);
}
