/**
 * What a node is asked for by annotations of its Node object, and what it answers: the words that
 * `bramble upgrade --cluster` and the nodes share.
 */
import { z } from "zod";

/** On the Node: which program it is to take. */
export const WANTED = "bramble.dev/upgrade";
/** On the Node, by itself: why it did not. */
export const FAILED = "bramble.dev/upgrade-failed";

/** Followed by an architecture as Kubernetes names it: amd64, arm64. */
export const PROGRAM_PATH = "/bramble/v1/program/";

const schema = z.object({ version: z.string(), sha256: z.string().regex(/^[0-9a-f]{64}$/) });
export type Wanted = z.output<typeof schema>;

/** Undefined where nothing is wanted, or nothing that can be understood. */
export function wantedOf(annotations: Record<string, string> | undefined): Wanted | undefined {
  const text = annotations?.[WANTED];
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

export interface Outcome {
  sha256: string;
  error?: string;
}

/** What to do about an annotation, by what is known of earlier tries. Pure. */
export function stepOf(
  wanted: Wanted | undefined,
  own: { version: string; outcome: Outcome | undefined; told: string | undefined },
): "nothing" | "upgrade" | { tell: string } {
  if (wanted === undefined || wanted.version === own.version) return "nothing";
  const { outcome, told } = own;
  if (outcome?.sha256 !== wanted.sha256) return "upgrade";
  const error = outcome.error ?? "it ended before it was done";
  return told === error ? "nothing" : { tell: error };
}
