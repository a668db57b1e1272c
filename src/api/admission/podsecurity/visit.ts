/** Small helpers of the checks: containers, plurals, quotes. Pure. */
import type { Container, PodSpec } from "#resources/types.gen.ts";

export interface Finding {
  readonly reason: string;
  readonly detail: string;
}

export const containersOf = (spec: PodSpec): Container[] => [
  ...(spec.initContainers ?? []),
  ...spec.containers,
  ...((spec.ephemeralContainers ?? []) as Container[]),
];

export const namesWhere = (spec: PodSpec, test: (container: Container) => boolean): string[] =>
  containersOf(spec)
    .filter(test)
    .map(({ name }) => name);

export const quotedList = (values: Iterable<string>): string =>
  [...values].map((value) => JSON.stringify(value)).join(", ");

export const plural = (count: number, one: string, many = `${one}s`): string =>
  count === 1 ? one : many;

export const containerList = (names: readonly string[]): string =>
  `${plural(names.length, "container")} ${quotedList(names)}`;

export const sorted = (values: Iterable<string>): string[] => [...new Set(values)].sort();

/** `pod and container "a"`: who set what is not allowed. */
export function setters(pod: boolean, names: readonly string[]): string {
  const parts = pod ? ["pod"] : [];
  if (names.length > 0) parts.push(containerList(names));
  return parts.join(" and ");
}
