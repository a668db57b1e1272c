/** Escapes untrusted text for logs: line breaks, control characters and bidirectional marks. */

/** Characters that JSON does not escape but that terminals and viewers interpret. */
const UNSAFE =
  /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

const escapeOf = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** Returns JSON in one line of printable characters. */
export const printableJson = (value: unknown): string =>
  JSON.stringify(value).replace(UNSAFE, escapeOf);

/** Returns the text unchanged if it is printable in one line; otherwise escaped. */
export function printable(text: string): string {
  const json = printableJson(text).slice(1, -1);
  return json.includes("\\u") || /\\[bfnrt]/.test(json) ? json : text;
}
