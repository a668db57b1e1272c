/** Decodes percent-encoding of untrusted input. */

/** Returns the decoded text; undefined if an escape is incomplete or not UTF-8. */
export function percentDecoded(text: string): string | undefined {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
