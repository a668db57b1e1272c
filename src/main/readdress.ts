/** Follows the machine's address: certificate, and where the `kubernetes` Service leads. */
import { repeat } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Client } from "#client/client.ts";
import { endpoints } from "#resources/kinds/endpoints.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { type ControlPlane, certificateAddresses } from "./control.ts";
import { isShared } from "./datastore.ts";
import { besideCluster, nodeAddress, reachableAddresses } from "./machine.ts";
import type { ServerSettings } from "./settings.ts";

export const KUBERNETES = { namespace: "default", name: "kubernetes" };

/** Pods reach the API by these addresses from now on. */
export async function advertise(client: Client, ips: readonly string[]): Promise<void> {
  const addresses = ips.map((ip) => ({ ip }));
  const [old, slice] = await Promise.all([
    client.get(endpoints, KUBERNETES),
    client.get(endpointSlices, KUBERNETES),
  ]);
  if (old !== undefined) {
    const subsets = (old.subsets ?? []).map((subset) => ({ ...subset, addresses }));
    await client.update(endpoints, { ...old, subsets });
  }
  if (slice !== undefined) {
    const conditions = { ready: true };
    const all = ips.map((ip) => ({ addresses: [ip], conditions }));
    await client.update(endpointSlices, { ...slice, endpoints: all });
  }
}

/**
 * Until the signal aborts; a given `--node-ip` stays what it is. Answers the address as it is now.
 */
export function followAddress(
  settings: ServerSettings,
  control: Pick<ControlPlane, "pki" | "client" | "around">,
  address: string,
): () => string {
  const { clock, log, signal } = control.around;
  let current = address;
  // The bridge comes with the first pod and goes with the last one: no address of the machine.
  const now = (): string[] => besideCluster(reachableAddresses(), settings);
  let told = now().join();
  let advertised = address;

  const look = async (): Promise<void> => {
    const all = now();
    const [first] = all;
    // Between two addresses there may be none for a moment.
    if (first === undefined) return;
    if (all.join() !== told) {
      told = all.join();
      current = nodeAddress(settings.nodeIp ?? first);
      log.info("the machine's addresses changed", { addresses: told });
      control.pki.setAddresses(certificateAddresses(settings, current));
    }
    // Several servers tell all their addresses together (`servers.ts`).
    if (advertised === current || isShared(settings)) return;
    await advertise(control.client, [current]);
    advertised = current;
  };
  void repeat(clock, limits.addressCheckMs, signal, () =>
    look().catch((error: unknown) =>
      log.warn("the new address was not told", { error: messageOf(error) }),
    ),
  );
  return () => current;
}
