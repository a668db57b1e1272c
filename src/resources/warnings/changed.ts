/** When a workload is warned of: when it is new, and when its author changed it. */
import type { ApiObject } from "#resources/meta.ts";
import { nameWarnings } from "#resources/warnings/pod.ts";

const generationOf = (object: ApiObject): number | undefined => object.metadata?.generation;

export const isChanged = (object: ApiObject, old: ApiObject | undefined): boolean =>
  old === undefined || generationOf(object) !== generationOf(old);

export const newName = (object: ApiObject, old: ApiObject | undefined): string[] =>
  old === undefined ? nameWarnings(object.metadata?.name, "Pod names and hostnames") : [];
