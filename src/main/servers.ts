/**
 * The servers of a cluster that share a datastore: each keeps a Lease, and the `kubernetes` Service
 * leads to those whose Lease goes on (as kube-apiserver's lease reconciler of endpoints).
 */
import { type Clock, repeat } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Client } from "#client/client.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { leases } from "#resources/kinds/lease.ts";
import type { Stored } from "#resources/meta.ts";
import type { Lease } from "#resources/types.gen.ts";
import type { NamedServer } from "./kubeconfig.ts";
import { urlOf } from "./published.ts";
import { advertise, KUBERNETES } from "./readdress.ts";

const NAMESPACE = "kube-system";
const LABEL = "bramble.dev/server";
const PREFIX = "bramble-server-";

interface Seen {
  renewTime: string;
  atMs: number;
}

/** Addresses of servers whose Lease was renewed a short while ago, by the clock of who looks. */
export class Alive {
  readonly #seen = new Map<string, Seen>();

  addresses(all: ReadonlyArray<Stored<Lease>>, nowMs: number): string[] {
    const found = new Set<string>();
    for (const { metadata, spec } of all) {
      const renewTime = spec?.renewTime ?? "";
      let seen = this.#seen.get(metadata.uid);
      if (seen?.renewTime !== renewTime) {
        seen = { renewTime, atMs: nowMs };
        this.#seen.set(metadata.uid, seen);
      }
      const address = spec?.holderIdentity;
      if (address && nowMs - seen.atMs < limits.serverLeaseMs) found.add(address);
    }
    return [...found].sort();
  }
}

export interface ServersParts {
  client: Client;
  clock: Clock;
  log: Log;
  signal: AbortSignal;
  nodeName: string;
  /** This server's, as it is now. */
  address: () => string;
  port: number;
  /** All servers, also those that are away for a while. */
  onNamed: (servers: readonly NamedServer[]) => void;
}

/** One that is not renewed for long was given up by its operator. */
function forgotten({ spec }: Stored<Lease>, nowMs: number): boolean {
  return nowMs - Date.parse(spec?.renewTime ?? "") > limits.serverForgottenMs;
}

/** Of the Leases of servers, by name. */
export function namedServers(all: ReadonlyArray<Stored<Lease>>, port: number): NamedServer[] {
  return all
    .flatMap(({ metadata, spec }) => {
      const address = spec?.holderIdentity;
      const name = metadata.name.slice(PREFIX.length);
      return address ? [{ name, server: urlOf(address, port) }] : [];
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** All servers' Leases, after this one's was renewed. */
async function renewed(parts: ServersParts): Promise<ReadonlyArray<Stored<Lease>>> {
  const { client, clock, nodeName, address } = parts;
  const name = `${PREFIX}${nodeName}`;
  const spec = {
    holderIdentity: address(),
    leaseDurationSeconds: limits.serverLeaseMs / 1000,
    renewTime: new Date(clock.now()).toISOString().replace("Z", "000Z"),
  };
  const { items } = await client.list(leases, { namespace: NAMESPACE, labelSelector: LABEL });
  const known = items.find((lease) => lease.metadata.name === name);
  const labels = { [LABEL]: "true" };
  const own =
    known === undefined
      ? await client.create(leases, { metadata: { namespace: NAMESPACE, name, labels }, spec })
      : await client.update(leases, { ...known, spec });
  const others = items.filter((lease) => lease !== known);
  const gone = others.filter((lease) => forgotten(lease, clock.now()));
  for (const { metadata } of gone) await client.delete(leases, metadata);
  return [own, ...others.filter((lease) => !gone.includes(lease))];
}

async function advertised(client: Client): Promise<string[]> {
  const slice = await client.get(endpointSlices, KUBERNETES);
  return (slice?.endpoints ?? []).flatMap((endpoint) => endpoint.addresses).sort();
}

/** Until the signal aborts. */
export function followServers(parts: ServersParts): void {
  const { client, clock, log, signal } = parts;
  const alive = new Alive();

  const look = async (): Promise<void> => {
    const all = await renewed(parts);
    const wanted = alive.addresses(all, clock.monotonic());
    if (wanted.join() !== (await advertised(client)).join()) await advertise(client, wanted);
    parts.onNamed(namedServers(all, parts.port));
  };
  const run = (): Promise<void> =>
    look().catch((error: unknown) =>
      log.warn("servers are not followed", { error: messageOf(error) }),
    );
  void run().then(() => repeat(clock, limits.serverLeaseMs / 3, signal, run));
}
