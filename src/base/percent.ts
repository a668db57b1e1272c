/** Percent-encoding, as anybody may send it: the one place that decodes it. */

/** The text that stands behind the escapes; undefined where they are no UTF-8, or cut. */
export function percentDecoded(text: string): string | undefined {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
