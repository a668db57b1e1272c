import { expect, test } from "bun:test";
import { RouteTable } from "#agents/network/routes.ts";
import { silentLog } from "#base/log.ts";
import type { Run } from "#base/process.ts";

function table(there: object[], refused = "") {
  const lines: string[] = [];
  const kernel = { text: "", lists: 0 };
  const run: Run = async (argv, options) => {
    if (argv.includes("-batch")) {
      lines.push(...String(options?.stdin).trim().split("\n"));
      return { exitCode: refused === "" ? 0 : 1, stdout: "", stderr: refused };
    }
    kernel.lists++;
    return { exitCode: 0, stdout: JSON.stringify(there), stderr: "" };
  };
  const common = { run, log: silentLog, ownCidrs: ["10.42.0.0/16"] };
  return { lines, kernel, it: new RouteTable({ ...common, table: async () => kernel.text }) };
}

test("only what differs is changed", async () => {
  const { it, lines } = table([
    { dst: "10.42.2.0/24", gateway: "192.168.0.2", dev: "eth0" },
    { dst: "10.42.3.0/24", gateway: "192.168.0.3", dev: "eth0" },
    { dst: "10.42.4.0/24", gateway: "192.168.0.4", dev: "eth0" },
    { dst: "10.99.4.0/24", gateway: "192.168.0.4", dev: "eth0" },
  ]);
  await it.settle("IPv4", [
    { dst: "10.42.2.0/24", via: "192.168.0.2" },
    { dst: "10.42.3.0/24", via: "192.168.0.33" },
    { dst: "10.42.5.0/24", via: "192.168.0.5" },
  ]);
  expect(lines).toEqual([
    "route replace 10.42.3.0/24 via 192.168.0.33 proto 171",
    "route replace 10.42.5.0/24 via 192.168.0.5 proto 171",
    "route del 10.42.4.0/24 proto 171",
  ]);
});

test("a route into a link is told from one to a neighbour", async () => {
  const { it, lines } = table([
    { dst: "10.42.2.0/24", dev: "eth1" },
    { dst: "10.42.3.0/24", dev: "eth0" },
  ]);
  await it.settle(
    "IPv4",
    [
      { dst: "10.42.2.0/24", dev: "eth0" },
      { dst: "10.42.3.0/24", dev: "eth0" },
      { dst: "10.42.4.0/24", via: "10.42.4.0" },
    ],
    "vx0",
  );
  expect(lines).toEqual([
    "route replace 10.42.2.0/24 dev eth0 proto 171",
    "route replace 10.42.4.0/24 via 10.42.4.0 dev vx0 onlink proto 171",
  ]);
});

test("nothing to change runs nothing", async () => {
  const { it, lines } = table([{ dst: "10.42.2.0/24", gateway: "192.168.0.2" }]);
  await it.settle("IPv4", [{ dst: "10.42.2.0/24", via: "192.168.0.2" }]);
  expect(lines).toEqual([]);
});

test("what the kernel refuses is thrown, after all was tried", async () => {
  const { it, lines } = table([], "Error: Nexthop has invalid gateway.\nCommand failed -:1");
  const routes = [
    { dst: "10.42.2.0/24", via: "10.0.0.2" },
    { dst: "10.42.3.0/24", via: "10.0.0.3" },
  ];
  expect(it.settle("IPv4", routes)).rejects.toThrow("Nexthop has invalid gateway");
  await Promise.resolve();
  await new Promise((done) => setImmediate(done));
  expect(lines).toHaveLength(2);
});

test("no program is asked while the kernel's table and what is wanted stay the same", async () => {
  const route = { dst: "10.42.2.0/24", via: "192.168.0.2" };
  const { it, kernel, lines } = table([{ dst: route.dst, gateway: route.via }]);
  await it.settle("IPv4", [route]);
  await it.settle("IPv4", [route]);
  expect(kernel.lists).toBe(1);
  kernel.text = "a route is gone";
  await it.settle("IPv4", [route]);
  expect(kernel.lists).toBe(2);
  await it.settle("IPv4", []);
  expect(lines).toEqual(["route del 10.42.2.0/24 proto 171"]);
  // What was asked for is looked at once more.
  await it.settle("IPv4", []);
  expect(kernel.lists).toBe(4);
});
