import { expect, test } from "bun:test";
import type { RuleSet } from "#agents/network/packets.ts";
import type { NftTable } from "#agents/network/tables.ts";
import { type ProxyMode, ServiceBackend, wantsMaps } from "#agents/proxy/backend.ts";
import type { ServicePortPlan } from "#agents/proxy/plan.ts";
import { planService } from "#agents/proxy/plan.ts";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import { config, service, slice } from "#test/unit/agents/proxy/build.ts";

/** What was written, in order: `rules 3`, `table 12`, `clear`. */
function setUp(mode: ProxyMode) {
  const done: string[] = [];
  const chains = ({ chains }: RuleSet) => chains.filter(({ table }) => table === "nat").length;
  const state = { broken: false };
  const backend = new ServiceBackend({
    mode,
    log: silentLog,
    writer: {
      apply: async (_owner, rules) => void done.push(`rules ${chains(rules)}`),
      verify: async () => {},
      clear: async () => {},
    },
    table: {
      async apply(table: NftTable) {
        if (state.broken) throw new Error("no nft");
        const services = table.sets.find(({ name }) => name === "services");
        done.push(`table ${services?.elements.size}`);
      },
      verify: async () => void done.push("verify"),
      clear: async () => void done.push("clear"),
    },
  });
  return { backend, done, state };
}

const [one] = planService(
  service("web", { clusterIP: "10.43.0.7" }),
  [slice("web", ["10.42.1.1@n1"])],
  config,
) as [ServicePortPlan];

const many = (count: number): ServicePortPlan[] =>
  Array.from({ length: count }, (_, i) => ({
    ...one,
    id: `default/s${i}:80`,
    clusterIps: [`10.43.${i >> 8}.${i & 255}`],
  }));

test("maps from many ports on, with some leeway on the way back", () => {
  expect(wantsMaps("auto", limits.proxyMapsPorts - 1, false)).toBe(false);
  expect(wantsMaps("auto", limits.proxyMapsPorts, false)).toBe(true);
  expect(wantsMaps("auto", limits.proxyMapsPorts / 2, true)).toBe(true);
  expect(wantsMaps("auto", limits.proxyMapsPorts / 2 - 1, true)).toBe(false);
  expect(wantsMaps("iptables", 10_000, true)).toBe(false);
  expect(wantsMaps("nftables", 0, false)).toBe(true);
});

test("the other back end is there before the one in use goes", async () => {
  const { backend, done } = setUp("auto");
  await backend.apply([one], config);
  await backend.apply(many(limits.proxyMapsPorts), config);
  await backend.verify();
  await backend.apply([one], config);
  await backend.verify();
  expect(done).toEqual([
    "rules 7",
    // An earlier process may have left a table.
    "clear",
    `table ${limits.proxyMapsPorts}`,
    "rules 0",
    "verify",
    "rules 7",
    "clear",
  ]);
});

test("where nft does not work rules serve all, unless someone insists", async () => {
  const auto = setUp("auto");
  auto.state.broken = true;
  await auto.backend.apply(many(limits.proxyMapsPorts), config);
  expect(auto.done[0]).toStartWith("rules 1");
  const insisting = setUp("nftables");
  insisting.state.broken = true;
  expect(insisting.backend.apply([one], config)).rejects.toThrow("no nft");
  expect(insisting.done).toEqual([]);
});
