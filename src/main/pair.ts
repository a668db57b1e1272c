/** A device without a token waits here to be taken in: seen by mDNS, opened by the code it shows. */
import { announce } from "#agents/discovery/agent.ts";
import { PairingDesk, type Parcel } from "#agents/join/pairing.ts";
import { limits } from "#base/limits.ts";
import type { Surroundings } from "./control.ts";
import { everyAddress, reachableAddresses } from "./machine.ts";
import { version } from "./version.ts";

/** Resolves to what the server handed over; undefined when asked to end. */
export async function waitForAdoption(
  nodeName: string,
  discovers: boolean,
  around: Surroundings,
): Promise<Parcel | undefined> {
  const { clock, random, log, signal } = around;
  const taken = Promise.withResolvers<Parcel | undefined>();
  const desk = new PairingDesk({
    name: nodeName,
    random,
    clock,
    onCode: (code) =>
      log.info(`waiting to be taken in; on the server: bramble adopt ${nodeName} --code ${code}`),
    onParcel: (parcel) => taken.resolve(parcel),
    onWrongCode: (address) => log.warn("a server gave a wrong code", { address }),
  });
  const server = Bun.serve({
    hostname: everyAddress(),
    port: 0,
    development: false,
    maxRequestBodySize: limits.pairingBodyBytesMax,
    fetch: (request, bun) => desk.answer(request, bun.requestIP(request)?.address),
  });
  const port = server.port ?? 0;
  log.info("the device is at", { address: reachableAddresses().join(), port });
  const goodbye = discovers
    ? announce({ name: nodeName, role: "device", port, version, clock, log: log.part("discovery") })
    : undefined;
  const end = () => taken.resolve(undefined);
  signal.addEventListener("abort", end, { once: true });
  const parcel = await taken.promise;
  signal.removeEventListener("abort", end);
  await goodbye?.();
  // The answer to the server is still on its way.
  await server.stop(false);
  return parcel;
}
