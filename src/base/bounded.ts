/** Leaves a map the entries that were set last, at most `max` of them. */
export function keepNewest<K>(map: Map<K, unknown>, max: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= max) return;
    map.delete(oldest);
  }
}
