import { expect, test } from "bun:test";
import { hasDefaultRoute, WayToServices } from "#agents/network/way.ts";
import type { Run } from "#base/process.ts";

const HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\n";
const LAN = "eth0\t0032A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\n";
const ROUTER = "eth0\t00000000\t6332A8C0\t0003\t0\t0\t0\t00000000\t0\n";
const REFUSED = "*\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\n";
/** Half of all addresses is not all. */
const HALF = "tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\n";
const NONE6 = "0".repeat(32);
const LAN6 =
  `fd000050${"0".repeat(24)} 40 ${NONE6} 00 ${NONE6} ` +
  "00000100 00000001 00000000 00000001     eth0\n";
const ROUTER6 =
  `${NONE6} 00 ${NONE6} 00 fd000050${"0".repeat(22)}99 ` +
  "00000400 00000001 00000000 00000003     eth0\n";
const REFUSED6 = `${NONE6} 00 ${NONE6} 00 ${NONE6} ffffffff 00000001 00000000 00200200       lo\n`;

test.each([
  ["IPv4", HEAD + LAN, false],
  ["IPv4", HEAD + LAN + ROUTER, true],
  ["IPv4", HEAD + LAN + REFUSED, false],
  ["IPv4", HEAD + LAN + HALF, false],
  ["IPv6", LAN6 + REFUSED6, false],
  ["IPv6", LAN6 + ROUTER6 + REFUSED6, true],
] as const)("a default route of %s, case %#", (family, table, has) => {
  expect(hasDefaultRoute(table, family)).toBe(has);
});

test("Services are led to the node's own link where nothing else leads there", async () => {
  const asked: string[] = [];
  let link = "eth0";
  const run: Run = async (argv) => {
    asked.push(argv.join(" "));
    return { exitCode: 0, stdout: JSON.stringify([{}, { ifname: link }]), stderr: "" };
  };
  const tables = { IPv4: HEAD + LAN, IPv6: LAN6 + REFUSED6 };
  const serviceCidr = "10.43.0.0/16,fd00:43::/112";
  const way = new WayToServices({ run, serviceCidr, table: async (family) => tables[family] });
  expect(await way.routes("IPv4", undefined)).toEqual([]);
  expect(asked).toEqual([]);
  expect(await way.routes("IPv4", "192.168.50.1")).toEqual([{ dst: "10.43.0.0/16", dev: "eth0" }]);
  expect(await way.routes("IPv4", "192.168.50.1")).toHaveLength(1);
  // The link is asked for once.
  expect(asked).toEqual(["ip -j address show to 192.168.50.1"]);
  expect(await way.routes("IPv6", "fd00:50::1")).toEqual([{ dst: "fd00:43::/112", dev: "eth0" }]);
  // The address has moved, and with it the route to its LAN.
  link = "wlan0";
  tables.IPv4 = tables.IPv4.replace("eth0", "wlan0");
  expect(await way.routes("IPv4", "192.168.50.1")).toEqual([{ dst: "10.43.0.0/16", dev: "wlan0" }]);
  tables.IPv4 += ROUTER;
  expect(await way.routes("IPv4", "192.168.50.1")).toEqual([]);
});
