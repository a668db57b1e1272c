import { expect, test } from "bun:test";
import { besideCluster } from "../../../src/main/machine.ts";

test("addresses of the cluster's own networks are none of the machine", () => {
  const cluster = { clusterCidr: "10.42.0.0/16,fd42::/56", serviceCidr: "10.43.0.0/16" };
  const all = ["192.168.1.5", "10.42.0.1", "10.43.0.10", "10.44.0.1", "fd42::1", "fd99::1"];
  expect(besideCluster(all, cluster)).toEqual(["192.168.1.5", "10.44.0.1", "fd99::1"]);
});
