/**
 * What the server warns of, told once in a command's life, as kubectl tells it.
 * https://kubernetes.io/docs/reference/using-api/#api-warnings
 */
import type { Fetch } from "#client/client.ts";

/** `299 agent "text"`, as often as there are warnings; the text quoted as HTTP quotes. */
const WARNING = /299 \S+ "((?:[^"\\]|\\.)*)"/g;

export const warningsIn = (header: string | null): string[] =>
  [...(header ?? "").matchAll(WARNING)].map(([, text = ""]) => text.replaceAll(/\\(.)/g, "$1"));

/** A Fetch that hands over each new warning. */
export function telling(fetch: Fetch, tell: (warning: string) => void): Fetch {
  const told = new Set<string>();
  return async (request) => {
    const response = await fetch(request);
    for (const warning of warningsIn(response.headers.get("warning"))) {
      if (told.has(warning)) continue;
      told.add(warning);
      tell(warning);
    }
    return response;
  };
}
