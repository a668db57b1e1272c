/** Texts of clients in logs: none may end a line, steer a terminal or change the order of letters. */

/** What JSON leaves as it is, though terminals and viewers act on it. */
const UNSAFE =
  /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

const escapeOf = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** JSON in one line of printable characters. */
export const printableJson = (value: unknown): string =>
  JSON.stringify(value).replace(UNSAFE, escapeOf);

/** The text itself where all of it can be printed in a line. */
export function printable(text: string): string {
  const json = printableJson(text).slice(1, -1);
  return json.includes("\\u") || /\\[bfnrt]/.test(json) ? json : text;
}
