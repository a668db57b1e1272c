import { expect, test } from "bun:test";
import { loadServerSettings } from "../../../src/main/settings.ts";
import { parseReserved } from "../../../src/main/taints.ts";

const load = (flags: Record<string, unknown>) =>
  loadServerSettings({ flags, env: {}, file: undefined, filePath: "" });

const DUAL = {
  clusterCidr: "10.42.0.0/16,fd00:42::/56",
  serviceCidr: "10.43.0.0/16,fd00:43::/112",
  clusterDns: "10.43.0.10,fd00:43::a",
};

test("ranges of one family, or of both", () => {
  expect(load({}).clusterCidr).toBe("10.42.0.0/16");
  expect(load(DUAL)).toMatchObject(DUAL);
});

test.each([
  [{ clusterCidr: "fd00:42::/56" }, "--cluster-cidr: must be an IPv4 range"],
  [{ clusterCidr: DUAL.clusterCidr }, "differ in families"],
  [{ ...DUAL, serviceCidr: "10.43.0.0/16,fd00:42::/112" }, "overlap"],
  [{ ...DUAL, clusterDns: "10.43.0.10,fd00:44::a" }, "is not in --service-cidr"],
  [{ clusterCidr: "10.42.0.0/16,10.44.0.0/16" }, "must be an IPv4 range"],
  [{ nodeIp: "fd00::1" }, "--node-ip: must be an IPv4 address"],
  [{ proxyMode: "ipvs" }, "--proxy-mode"],
  [{ podMaxPids: "0" }, "--pod-max-pids: must be 1 or more, or -1 for no limit"],
])("refused: %p", (flags, message) => {
  expect(() => load(flags)).toThrow(message);
});

test("what is kept back from pods", () => {
  const reserved = (systemReserved?: string) =>
    parseReserved(load(systemReserved === undefined ? {} : { systemReserved }).systemReserved);
  expect(reserved()).toEqual({ cpuMillis: 0, memoryBytes: 0 });
  expect(reserved("cpu=0.25,memory=1Mi")).toEqual({ cpuMillis: 250, memoryBytes: 2 ** 20 });
  for (const bad of ["cpu", "disk=1Gi", "memory=much", "cpu=", "cpu=-1"]) {
    expect(() => reserved(bad)).toThrow(`--system-reserved: "${bad}" must be cpu=AMOUNT`);
  }
});
