/** The servers of the cluster as they publish themselves: where the `kubernetes` Service leads. */
import type { Caches } from "#client/cache.types.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import type { EndpointSlice } from "#resources/types.gen.ts";
import { KUBERNETES } from "./readdress.ts";

export const urlOf = (address: string, port: number): string =>
  `https://${address.includes(":") ? `[${address}]` : address}:${port}`;

export function serverUrls(
  slice: Pick<EndpointSlice, "endpoints" | "ports"> | undefined,
): string[] {
  const port = slice?.ports?.[0]?.port;
  if (port === undefined) return [];
  const addresses = (slice?.endpoints ?? []).flatMap((endpoint) => endpoint.addresses);
  return addresses.map((address) => urlOf(address, port));
}

/** Tells the servers' URLs now and whenever they change, until the caches stop. */
export function followPublished(caches: Caches, tell: (urls: readonly string[]) => void): void {
  const key = `${KUBERNETES.namespace}/${KUBERNETES.name}`;
  const slices = caches.of(endpointSlices);
  let told = "";
  const look = (): void => {
    const urls = serverUrls(slices.get(key));
    // An outage of the datastore empties no list: who was there is looked for again.
    if (urls.length === 0 || urls.join() === told) return;
    told = urls.join();
    tell(urls);
  };
  slices.onChange((change) => change.key === key && look());
  look();
}
