import { expect, test } from "bun:test";
import fc from "fast-check";
import { createIptablesWriter } from "#agents/network/iptables.ts";
import type { Chain, Hook, RuleSet } from "#agents/network/packets.ts";
import { silentLog } from "#base/log.ts";
import { tries } from "#test/support/property.ts";
import { FakeKernel } from "#test/unit/agents/network/kernel.ts";

const FOREIGN = [
  "*nat\n:OTHERS - [0:0]\n-A OTHERS -s 203.0.113.1/32 -j RETURN\n-A PREROUTING -j OTHERS\nCOMMIT",
  "*filter\n:BRAMBLE-other-PODS - [0:0]\n-A FORWARD -j BRAMBLE-other-PODS\nCOMMIT",
].join("\n");

const nat = (name: string, ...rules: string[]): Chain => ({ table: "nat", name, rules });
const hook = (to: string, from: Hook["from"] = "PREROUTING"): Hook => ({ table: "nat", from, to });

function writer(kernel: FakeKernel, instance = "", owners = ["proxy", "network"]) {
  return createIptablesWriter({ run: kernel.run, instance, log: silentLog, owners });
}

const proxy: RuleSet = {
  chains: [
    nat("SERVICES", "-d 10.43.0.1/32 -p tcp --dport 80 -j @SVC-default/web:80"),
    nat("SVC-default/web:80", "-p tcp -j DNAT --to-destination 10.42.0.1:80"),
  ],
  hooks: [hook("SERVICES"), hook("SERVICES", "OUTPUT")],
};
const network: RuleSet = {
  chains: [nat("POST", "-j RETURN")],
  hooks: [hook("POST", "POSTROUTING")],
};

test("only chains that changed are written", async () => {
  const kernel = new FakeKernel();
  const it = writer(kernel);
  await it.apply("proxy", proxy);
  await it.apply("network", network);
  kernel.restores = [];
  kernel.saves = 0;
  const [services = nat("SERVICES"), web = nat("x")] = proxy.chains;
  const rules = ["-p tcp -j DNAT --to-destination 10.42.0.2:80"];
  await it.apply("proxy", { ...proxy, chains: [services, { ...web, rules }] });
  expect(kernel.restores).toHaveLength(1);
  expect(kernel.saves).toBe(0);
  expect(kernel.restores[0]?.match(/^:/gm)).toHaveLength(1);
  await it.apply("proxy", { ...proxy, chains: [{ ...services }, { ...web, rules: [...rules] }] });
  expect(kernel.restores).toHaveLength(1);
});

test("chains that are gone are deleted after the rules that led to them", async () => {
  const kernel = new FakeKernel();
  kernel.restore(FOREIGN);
  const it = writer(kernel);
  await it.apply("proxy", proxy);
  await it.apply("proxy", { chains: [nat("SERVICES")], hooks: [hook("SERVICES")] });
  expect(kernel.save()).not.toContain("SVC");
  expect(kernel.tables.get("nat")?.get("OUTPUT")).toEqual([]);
  expect(kernel.tables.get("nat")?.get("PREROUTING")).toEqual(["-j BRAMBLE-SERVICES", "-j OTHERS"]);
});

test("what an earlier process left works until all owners have written", async () => {
  const kernel = new FakeKernel();
  const before = writer(kernel);
  await before.apply("proxy", proxy);
  await before.apply("network", {
    ...network,
    chains: [...network.chains, nat("OLD", "-j RETURN")],
  });
  const after = writer(kernel);
  await after.apply("network", network);
  expect(kernel.save()).toContain("-A PREROUTING -j BRAMBLE-SERVICES");
  expect(kernel.save()).toContain("BRAMBLE-OLD");
  await after.apply("proxy", { chains: [nat("SERVICES", "-j RETURN")], hooks: [hook("SERVICES")] });
  const nats = kernel.tables.get("nat");
  expect([...(nats?.keys() ?? [])].filter((name) => name.startsWith("BRAMBLE")).sort()).toEqual([
    "BRAMBLE-POST",
    "BRAMBLE-SERVICES",
  ]);
  expect(nats?.get("OUTPUT")).toEqual([]);
});

test("jumps stand in the order of the owners, whoever writes first", async () => {
  const kernel = new FakeKernel();
  const it = writer(kernel, "", ["policy", "proxy", "network"]);
  const one = (name: string): RuleSet => ({
    chains: [nat(name, "-j RETURN")],
    hooks: [hook(name)],
  });
  await it.apply("network", one("N"));
  await it.apply("policy", one("P"));
  await it.apply("proxy", one("X"));
  expect(kernel.tables.get("nat")?.get("PREROUTING")).toEqual([
    "-j BRAMBLE-P",
    "-j BRAMBLE-X",
    "-j BRAMBLE-N",
  ]);
});

test("a refused change is tried once more, then it is the caller's", async () => {
  const kernel = new FakeKernel();
  const it = writer(kernel);
  kernel.failures = 1;
  await it.apply("proxy", proxy);
  expect(kernel.save()).toContain("BRAMBLE-SERVICES");
  kernel.failures = 2;
  expect(it.apply("network", network)).rejects.toThrow("Resource temporarily unavailable");
  await it.apply("proxy", { ...proxy, hooks: [] }).catch(() => {});
  await it.apply("network", network);
  expect(kernel.save()).toContain("BRAMBLE-POST");
});

test("a bad rule of one owner does not hold up the others", async () => {
  const kernel = new FakeKernel();
  const it = writer(kernel);
  const bad = it.apply("proxy", { chains: [nat("SERVICES", "-j @NOWHERE")], hooks: [] });
  const good = it.apply("network", network);
  expect(bad).rejects.toThrow("no target");
  await good;
  expect(kernel.save()).toContain("BRAMBLE-POST");
});

test("two instances do not see each other", async () => {
  const kernel = new FakeKernel();
  const one = writer(kernel, "");
  const two = writer(kernel, "two");
  for (const it of [one, two]) {
    await it.apply("proxy", proxy);
    await it.apply("network", network);
  }
  await one.clear();
  expect(kernel.save()).not.toMatch(/BRAMBLE-[A-Z]/);
  expect(kernel.save()).toContain(":BRAMBLE-two-SERVICES");
  await two.verify();
  await two.clear();
  expect(kernel.save()).not.toContain("BRAMBLE");
});

test("names fit into 28 bytes and do not meet", async () => {
  const kernel = new FakeKernel();
  const it = writer(kernel, "abcdefg");
  const chains = Array.from({ length: 500 }, (_, i) => nat(`SVC-namespace-${i}/a-long-name:http`));
  await it.apply("proxy", { chains, hooks: [] });
  const names = [...(kernel.tables.get("nat")?.keys() ?? [])].filter((n) =>
    n.startsWith("BRAMBLE"),
  );
  expect(names).toHaveLength(500);
  for (const name of names) expect(name.length).toBeLessThanOrEqual(28);
});

test("a save that was cut off changes nothing", async () => {
  const kernel = new FakeKernel();
  const it = writer(kernel);
  await it.apply("proxy", proxy);
  const whole = kernel.save();
  kernel.save = () => whole.slice(0, whole.indexOf("-A"));
  expect(it.verify()).rejects.toThrow("more output");
});

/** What anyone may do to the kernel between two looks. */
const meddling = fc.constantFrom(
  (kernel: FakeKernel) => kernel.tables.delete("nat"),
  (kernel: FakeKernel) => kernel.tables.get("nat")?.get("PREROUTING")?.splice(0, 1),
  (kernel: FakeKernel) => kernel.tables.get("nat")?.get("PREROUTING")?.reverse(),
  (kernel: FakeKernel) => {
    for (const [name, rules] of kernel.tables.get("nat") ?? []) {
      if (name.startsWith("BRAMBLE")) rules.length = 0;
    }
  },
  (kernel: FakeKernel) => kernel.tables.get("nat")?.get("BRAMBLE-A")?.push("-j ACCEPT"),
  (kernel: FakeKernel) => kernel.tables.get("nat")?.get("BRAMBLE-A")?.splice(0, 1, "-j DROP"),
  (kernel: FakeKernel) => kernel.tables.get("nat")?.get("PREROUTING")?.unshift("-j ACCEPT"),
  (kernel: FakeKernel) => kernel.tables.get("nat")?.set("BRAMBLE-STRAY", ["-j RETURN"]),
);

const ruleSet: fc.Arbitrary<RuleSet> = fc
  .uniqueArray(fc.constantFrom("A", "B", "SVC-x/y:z"), { maxLength: 3 })
  .chain((names) =>
    fc.record({
      chains: fc.tuple(
        ...names.map((name) =>
          fc
            .array(fc.constantFrom("-j RETURN", "-p tcp -j ACCEPT", "-s 10.0.0.1/32 -j DROP"))
            .map((rules): Chain => ({ table: "nat", name, rules })),
        ),
      ),
      hooks: fc.subarray([...names]).map((some) => some.map((name) => hook(name))),
    }),
  );

test("property: after changes and meddling the kernel has what is wanted, in order", async () => {
  const step = fc.oneof(
    ruleSet.map((rules) => ({ rules })),
    meddling.map((meddle) => ({ meddle })),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const kernel = new FakeKernel();
      kernel.restore(FOREIGN);
      const it = writer(kernel, "", ["proxy"]);
      let wanted: RuleSet = { chains: [], hooks: [] };
      await it.apply("proxy", wanted);
      for (const one of steps) {
        if ("meddle" in one) one.meddle(kernel);
        else {
          wanted = one.rules;
          await it.apply("proxy", wanted);
          // Only what was read back once can be compared later.
          await it.verify();
        }
      }
      await it.verify();
      const there = kernel.tables.get("nat") ?? new Map<string, string[]>();
      const ours = [...there.keys()].filter((name) => name.startsWith("BRAMBLE"));
      expect(ours).toHaveLength(wanted.chains.length);
      for (const { name, rules } of wanted.chains) {
        const found = [...there].find(([kernelName]) =>
          kernelName.startsWith(`BRAMBLE-${name[0]}`),
        );
        expect(found?.[1]).toEqual([...rules]);
      }
      const jumps = (there.get("PREROUTING") ?? []).filter((rule) => rule.includes("BRAMBLE"));
      expect(jumps.map((rule) => rule[11])).toEqual(wanted.hooks.map(({ to }) => to[0]));
      await it.clear();
      expect(kernel.save()).not.toMatch(/BRAMBLE-[A-Z]/);
      expect(kernel.tables.get("filter")?.get("FORWARD")).toEqual(["-j BRAMBLE-other-PODS"]);
    }),
    tries(300),
  );
});
