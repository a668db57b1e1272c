/** Which servers a node is to have a tunnel to. Pure; `fleet.ts` dials. */

/**
 * URLs to dial, the one that the node works with first. A lone server may be known by another
 * address than the one it publishes, and one tunnel to it is enough.
 */
export function tunnelTargets(current: string, published: readonly string[]): string[] {
  const others = published.length > 1 ? published : [];
  return [...new Set([current, ...others])];
}
