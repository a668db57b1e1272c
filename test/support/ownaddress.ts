/** An address of this machine: servers of tests that stand for endpoints, which loopback cannot. */
import { networkInterfaces } from "node:os";

export const OWN_ADDRESS = (() => {
  const all = Object.values(networkInterfaces()).flat();
  const found = all.find((one) => one?.family === "IPv4" && !one.internal)?.address;
  if (found === undefined) throw new Error("the machine has no address but loopback");
  return found;
})();
