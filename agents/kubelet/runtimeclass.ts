/**
 * Which runtime a RuntimeClass means on this node: a shim of containerd by its name, or another
 * program of runc's kind. Pure but for the look into PATH, which comes as a function.
 * https://kubernetes.io/docs/concepts/containers/runtime-class/
 */
import { findProgram } from "#base/programs.ts";
import type { Client } from "#client/client.ts";
import { runtimeClasses } from "#resources/kinds/runtimeclass.ts";

/** Programs that take runc's place; any other word must be that of a shim. */
const LIKE_RUNC = new Set(["crun", "youki"]);
const SHIM_VERSIONS = ["v2", "v1"];

/** As nerdctl's `--runtime` has it, "" for the default; undefined where the node has none such. */
export function runtimeFor(
  handler: string,
  which: (program: string) => string | null,
): string | undefined {
  if (handler === "runc") return "";
  if (LIKE_RUNC.has(handler) && which(handler) !== null) return handler;
  const version = SHIM_VERSIONS.find(
    (each) => which(`containerd-shim-${handler}-${each}`) !== null,
  );
  return version === undefined ? undefined : `io.containerd.${handler}.${version}`;
}

/** Throws an Error with the reason, which the pod's event tells. */
export async function runtimeOfClass(client: Client, name: string): Promise<string> {
  const found = await client.get(runtimeClasses, { name });
  if (found === undefined) throw new Error(`RuntimeClass "${name}" not found`);
  const runtime = runtimeFor(found.handler, findProgram);
  if (runtime !== undefined) return runtime;
  throw new Error(`no runtime for "${found.handler}" is configured`);
}
