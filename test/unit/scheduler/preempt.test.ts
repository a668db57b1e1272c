import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Stored } from "#resources/meta.ts";
import type { Pod, PodDisruptionBudget, PodSpec } from "#resources/types.gen.ts";
import { factsOf } from "#scheduler/facts.ts";
import { schedule } from "#scheduler/plan.ts";
import { couldFit, preempt } from "#scheduler/preempt.ts";
import type { ClusterState } from "#scheduler/state.ts";
import { tries } from "#test/support/property.ts";
import { asking, cluster, node, type PodMore, pod, snapshot } from "#test/support/scheduling.ts";

const ranked = (
  name: string,
  priority: number,
  cpu: string,
  more: PodMore & { spec?: Partial<PodSpec> } = {},
) => pod(name, { ...asking(cpu), priority, ...more.spec }, more);

function budget(app: string, disruptionsAllowed: number): Stored<PodDisruptionBudget> {
  return {
    metadata: {
      name: app,
      namespace: "default",
      uid: app,
      resourceVersion: "1",
      creationTimestamp: "",
    },
    spec: { selector: { matchLabels: { app } } },
    status: { disruptionsAllowed, currentHealthy: 1, desiredHealthy: 1, expectedPods: 1 },
  };
}

/** Words, or the node and the victims. */
function outcome(
  who: Stored<Pod>,
  state: ClusterState,
  budgets: Stored<PodDisruptionBudget>[] = [],
): string | [string, string[]] {
  const decision = schedule(who, state, { random: 0 });
  if (decision.fits) return `fits ${decision.nodeName}`;
  const { refused } = decision;
  const result = preempt(factsOf(who), state, { refused, budgets, random: 0 });
  if (!("victims" in result)) return `${decision.message} ${result.message}`;
  return [result.nodeName, result.victims.map(({ pod: victim }) => victim.metadata.name)];
}

describe("victims", () => {
  test("the pod of least priority, and no more than are needed", () => {
    const state = cluster(
      [node("a"), node("b")],
      [
        [ranked("low", 1, "1"), "a"],
        [ranked("mid", 100, "1"), "a"],
        [ranked("mid1", 100, "1"), "b"],
        [ranked("mid2", 100, "1"), "b"],
      ],
    );
    expect(outcome(ranked("p", 1000, "1"), state)).toEqual(["a", ["low"]]);
  });

  test("two lesser pods rather than a great one (PreemptionExecutionPath)", () => {
    const state = cluster(
      [node("a", { more: { "example.com/fakecpu": "1000" } })],
      [200, 300, 450].map((amount, i) => {
        const spec = asking("0", { "example.com/fakecpu": String(amount) });
        return [pod(`p${i + 1}`, { ...spec, priority: i + 1 }), "a"] as const;
      }),
    );
    const who = pod("p4", { ...asking("0", { "example.com/fakecpu": "500" }), priority: 4 });
    expect(outcome(who, state)).toEqual(["a", ["p2", "p1"]]);
  });

  test("of equal priority, whoever started last goes", () => {
    const started = (startTime: string) => ({ status: { startTime } });
    const state = cluster(
      [node("a")],
      [
        [ranked("old", 1, "1", started("2026-01-01T00:00:00Z")), "a"],
        [ranked("new", 1, "1", started("2026-01-02T00:00:00Z")), "a"],
      ],
    );
    expect(outcome(ranked("p", 2, "1"), state)).toEqual(["a", ["new"]]);
  });

  test("a budget is kept where another victim is there, and broken where none is", () => {
    const app = { labels: { app: "kept" } };
    const state = cluster(
      [node("a")],
      [
        [ranked("kept", 1, "1", app), "a"],
        [ranked("other", 5, "1"), "a"],
      ],
    );
    expect(outcome(ranked("p", 9, "1"), state, [budget("kept", 0)])).toEqual(["a", ["other"]]);
    expect(outcome(ranked("p", 9, "1"), state, [budget("kept", 1)])).toEqual(["a", ["kept"]]);
    expect(outcome(ranked("p", 9, "2"), state, [budget("kept", 0)])).toEqual([
      "a",
      ["other", "kept"],
    ]);
  });

  test("the node without a broken budget, then with the lesser victim, then with fewer", () => {
    const app = { labels: { app: "kept" } };
    const nodes = [node("a"), node("b"), node("c", { cpu: "3" })];
    const state = cluster(nodes, [
      [ranked("a1", 1, "2", app), "a"],
      [ranked("b1", 5, "2"), "b"],
      [ranked("c1", 4, "1"), "c"],
      [ranked("c2", 4, "2"), "c"],
    ]);
    expect(outcome(ranked("p", 9, "2"), state, [budget("kept", 0)])).toEqual(["c", ["c2"]]);
    expect(outcome(ranked("p", 9, "2"), state)).toEqual(["a", ["a1"]]);
    expect(outcome(ranked("p", 9, "3"), state)).toEqual(["c", ["c1", "c2"]]);
  });

  test("spreading counts: a second pod must go (PodTopologySpread Preemption)", () => {
    const label = { labels: { app: "w" } };
    const three = (name: string, priority: number, cpu: string) =>
      ranked(name, priority, cpu, label);
    const state = cluster(
      [node("a", { cpu: "10" }), node("b", { cpu: "10" })],
      [
        [three("high", 1000, "9"), "a"],
        [three("low1", 1, "3"), "b"],
        [three("low2", 1, "3"), "b"],
        [three("low3", 1, "3"), "b"],
      ],
    );
    const spec: Partial<PodSpec> = {
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: "kubernetes.io/hostname",
          whenUnsatisfiable: "DoNotSchedule",
          labelSelector: { matchLabels: { app: "w" } },
        },
      ],
    };
    const result = outcome(ranked("medium", 100, "3", { ...label, spec }), state);
    expect(result).toEqual(["b", [expect.any(String), expect.any(String)]]);
  });
});

describe("words", () => {
  const full = (): ClusterState =>
    cluster(
      [node("a"), node("b", { cpu: "1" }), node("c", { unschedulable: true })],
      [[ranked("x", 5, "2"), "a"]],
    );

  test("nobody has less priority", () => {
    expect(outcome(ranked("p", 5, "2"), full())).toBe(
      "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu. preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling.",
    );
  });

  test("it must not preempt", () => {
    const spec: Partial<PodSpec> = { preemptionPolicy: "Never" };
    expect(outcome(ranked("p", 9, "2", { spec }), full())).toEndWith(
      "2 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never.",
    );
  });

  test("its victims have not left yet", () => {
    const status: Pod["status"] = {
      conditions: [{ type: "DisruptionTarget", status: "True", reason: "PreemptionByScheduler" }],
    };
    const meta = { deletionTimestamp: "2026-01-01T00:00:00Z" };
    const state = cluster([node("a")], [[ranked("x", 1, "2", { status, meta }), "a"]]);
    const who = ranked("p", 9, "2");
    state.nominate("default/p", { facts: factsOf(who), nodeName: "a" });
    expect(outcome(who, state)).toEndWith(
      "preemption: not eligible due to a terminating pod on the nominated node.",
    );
  });
});

describe("nominated pods", () => {
  test("room that is made for a pod is not given to a lesser one", () => {
    const state = cluster([node("a")]);
    const facts = factsOf(ranked("p", 9, "2"));
    state.nominate("default/p", { facts, nodeName: "a" });
    expect(outcome(ranked("lesser", 1, "1"), state)).toContain("Insufficient cpu");
    expect(outcome(ranked("greater", 10, "1"), state)).toBe("fits a");
    expect(outcome(facts.pod, state)).toBe("fits a");
    state.nominate("default/p", undefined);
    expect(outcome(ranked("lesser", 1, "1"), state)).toBe("fits a");
  });

  test("a pod goes to the node where room was made, though another is emptier", () => {
    const state = cluster([node("a"), node("b", { cpu: "8" })]);
    const facts = factsOf(ranked("p", 9, "2"));
    state.nominate("default/p", { facts, nodeName: "a" });
    expect(outcome(facts.pod, state)).toBe("fits a");
  });
});

test("property: after the victims are gone the pod fits; none is needless, none is greater", () => {
  const podInput = fc.record({
    priority: fc.integer({ min: 0, max: 5 }),
    cpu: fc.integer({ min: 100, max: 1500 }),
    at: fc.integer({ min: 0, max: 3 }),
    app: fc.constantFrom("x", "y"),
  });
  fc.assert(
    fc.property(
      fc.array(podInput, { maxLength: 14 }),
      fc.integer({ min: 0, max: 6 }),
      fc.integer({ min: 100, max: 2500 }),
      fc.integer({ min: 0, max: 2 }),
      (inputs, priority, cpu, allowed) => {
        const state = cluster([node("n0"), node("n1"), node("n2"), node("n3")]);
        for (const [i, input] of inputs.entries()) {
          const labels = { app: input.app };
          const one = ranked(`p${i}`, input.priority, `${input.cpu}m`, { labels });
          const there = state.nodes.get(`n${input.at}`);
          if ((there?.requested["cpu"] ?? 0) + input.cpu <= 2000) state.assume(one, `n${input.at}`);
        }
        const before = snapshot(state);
        const who = ranked("who", priority, `${cpu}m`);
        const decision = schedule(who, state, { random: 0 });
        expect(snapshot(state)).toEqual(before);
        if (decision.fits) return;
        const { refused } = decision;
        const budgets = [budget("x", allowed)];
        const result = preempt(factsOf(who), state, { refused, budgets, random: 0 });
        expect(snapshot(state)).toEqual(before);
        const hopeful = state.live().some(({ name }) => couldFit(factsOf(who), state, name));
        expect("victims" in result).toBe(hopeful);
        expect(snapshot(state)).toEqual(before);
        if (!("victims" in result)) return;
        for (const victim of result.victims) expect(victim.priority).toBeLessThan(priority);
        for (const victim of result.victims) state.withdraw(victim.key);
        state.nominate("default/who", { facts: factsOf(who), nodeName: result.nodeName });
        const after = schedule(who, state, { random: 0 });
        expect(after.fits && after.nodeName).toBe(result.nodeName);
        for (const victim of result.victims) {
          state.put(victim, result.nodeName);
          expect(schedule(who, state, { random: 0 }).fits).toBe(false);
          state.withdraw(victim.key);
        }
      },
    ),
    tries(300),
  );
});
