/** All subresources; a new one is a file and a line here. */
import type { Resource } from "#api/registry.ts";
import { binding } from "#api/subresources/binding.ts";
import { eviction } from "#api/subresources/eviction.ts";
import { attach, exec } from "#api/subresources/exec.ts";
import { log } from "#api/subresources/log.ts";
import { parts } from "#api/subresources/parts.ts";
import { portForward } from "#api/subresources/portforward.ts";
import { proxies } from "#api/subresources/proxy.ts";
import { scale } from "#api/subresources/scale.ts";
import { status } from "#api/subresources/status.ts";
import type { Subresource } from "#api/subresources/subresource.ts";
import { token } from "#api/subresources/token.ts";

export const subresources: readonly Subresource[] = [
  status,
  scale,
  binding,
  eviction,
  token,
  log,
  exec,
  attach,
  portForward,
  ...proxies,
  ...parts,
];

export function findSubresource(resource: Resource, name: string): Subresource | undefined {
  return subresources.find((each) => each.name === name && each.of(resource));
}

export const subresourcesOf = (resource: Resource): Subresource[] =>
  subresources.filter((each) => each.of(resource));
