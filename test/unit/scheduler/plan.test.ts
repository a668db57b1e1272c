import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { podRequests } from "#resources/podrequests.ts";
import type { PodSpec } from "#resources/types.gen.ts";
import { schedule } from "#scheduler/plan.ts";
import { packingProfile } from "#scheduler/profiles.ts";
import { tries } from "#test/support/property.ts";
import { asking, cluster, node, placed, pod, snapshot } from "#test/support/scheduling.ts";

describe("filters", () => {
  test("no node at all", () => {
    expect(placed(pod("p"), cluster([]))).toBe("no nodes available to schedule pods");
  });

  test("what does not fit is counted by reason, in upstream's words", () => {
    const state = cluster([
      node("a", { cpu: "1" }),
      node("b", { cpu: "1" }),
      node("c", { taints: [{ key: "k", value: "v", effect: "NoSchedule" }] }),
      node("d", { unschedulable: true }),
    ]);
    expect(placed(pod("p", asking("1500m")), state)).toBe(
      "0/4 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable, 2 Insufficient cpu.",
    );
  });

  test("requests of pods that are there count, those that are over do not", () => {
    const state = cluster([node("a", { cpu: "2" })], [[pod("x", asking("1500m")), "a"]]);
    expect(placed(pod("p", asking("1")), state)).toContain("Insufficient cpu");
    const over = {
      ...pod("x", { ...asking("1500m"), nodeName: "a" }),
      status: { phase: "Failed" },
    };
    state.setPod("default/x", over);
    expect(placed(pod("p", asking("1")), state)).toBe("a");
  });

  test("node selector and affinity", () => {
    const state = cluster([node("a"), node("b", { labels: { disk: "ssd" } })]);
    expect(placed(pod("p", { nodeSelector: { disk: "ssd" } }), state)).toBe("b");
    const terms = [{ matchExpressions: [{ key: "disk", operator: "DoesNotExist" }] }];
    const affinity = {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms },
      },
    };
    expect(placed(pod("p", { affinity }), state)).toBe("a");
  });

  test("a taint is tolerated by key, value and effect", () => {
    const state = cluster([
      node("a", { taints: [{ key: "k", value: "v", effect: "NoSchedule" }] }),
    ]);
    const tolerations = [{ key: "k", operator: "Equal", value: "v", effect: "NoSchedule" }];
    expect(placed(pod("p", { tolerations }), state)).toBe("a");
    expect(placed(pod("p", { tolerations: [{ operator: "Exists" }] }), state)).toBe("a");
    expect(placed(pod("p", { tolerations: [{ key: "k", value: "w" }] }), state)).toContain("taint");
  });

  test("a host port is taken once an address", () => {
    const port = (hostIP?: string): Partial<PodSpec> => ({
      containers: [
        {
          name: "c",
          image: "i",
          ports: [{ containerPort: 80, hostPort: 80, ...(hostIP && { hostIP }) }],
        },
      ],
    });
    const state = cluster([node("a")], [[pod("x", port("10.0.0.1")), "a"]]);
    expect(placed(pod("p", port("10.0.0.2")), state)).toBe("a");
    expect(placed(pod("p", port()), state)).toContain("free ports");
  });

  test("pod anti-affinity holds both ways", () => {
    const apart: Partial<PodSpec> = {
      affinity: {
        podAntiAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [
            {
              topologyKey: "kubernetes.io/hostname",
              labelSelector: { matchLabels: { app: "w" } },
            },
          ],
        },
      },
    };
    const state = cluster(
      [node("a"), node("b")],
      [[pod("x", apart, { labels: { app: "w" } }), "a"]],
    );
    expect(placed(pod("p", apart, { labels: { app: "w" } }), state)).toBe("b");
    expect(placed(pod("p", {}, { labels: { app: "w" } }), state)).toBe("b");
  });

  test("spread constraints bound the skew", () => {
    const spread = (maxSkew: number): Partial<PodSpec> => ({
      topologySpreadConstraints: [
        {
          maxSkew,
          topologyKey: "kubernetes.io/hostname",
          whenUnsatisfiable: "DoNotSchedule",
          labelSelector: { matchLabels: { app: "w" } },
        },
      ],
    });
    const state = cluster(
      [node("a"), node("b", { cpu: "1" })],
      [
        [pod("x", {}, { labels: { app: "w" } }), "a"],
        [pod("y", asking("1")), "b"],
      ],
    );
    const one = pod("p", { ...spread(1), ...asking("500m") }, { labels: { app: "w" } });
    expect(placed(one, state)).toContain("topology spread");
    expect(
      placed(pod("p", { ...spread(2), ...asking("500m") }, { labels: { app: "w" } }), state),
    ).toBe("a");
  });
});

test("a sidecar counts beside the containers, an init container only as a peak", () => {
  const container = (name: string, cpu: string, restartPolicy?: string) => ({
    name,
    image: "i",
    resources: { requests: { cpu } },
    ...(restartPolicy && { restartPolicy }),
  });
  const init = [container("s", "100m", "Always"), container("i", "900m")];
  const p = pod("p", { initContainers: init, containers: [container("c", "300m")] });
  expect(podRequests(p)).toEqual({ cpu: 1000 });
});

test("property: pods placed one after the other never overfill a node", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.array(fc.integer({ min: 1, max: 1500 }), { maxLength: 40 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (nodeCount, sizes, random) => {
        const state = cluster(Array.from({ length: nodeCount }, (_, i) => node(`n${i}`)));
        for (const [i, milli] of sizes.entries()) {
          const p = pod(`p${i}`, asking(`${milli}m`));
          const decision = schedule(p, state, { random });
          const room = state.live().some((n) => 2000 - (n.requested["cpu"] ?? 0) >= milli);
          expect(decision.fits).toBe(room);
          if (decision.fits) state.assume(p, decision.nodeName);
        }
        for (const n of state.live()) expect(n.requested["cpu"] ?? 0).toBeLessThanOrEqual(2000);
      },
    ),
    tries(60),
  );
});

describe("more filters", () => {
  test("every resource that is short is named; extended ones and overhead count", () => {
    const state = cluster([node("a", { cpu: "1", more: { "example.com/gpu": "1" } })]);
    const gpu = asking("2", { memory: "4Gi", "example.com/gpu": "2" });
    expect(placed(pod("p", gpu), state)).toBe(
      "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient example.com/gpu, 1 Insufficient memory.",
    );
    expect(placed(pod("p", { ...asking("900m"), overhead: { cpu: "200m" } }), state)).toContain(
      "Insufficient cpu",
    );
    expect(placed(pod("p", asking("1", { "example.com/gpu": "1" })), state)).toBe("a");
  });

  test("a node that holds no more pods", () => {
    const state = cluster([node("a", { pods: "1" })], [[pod("x"), "a"]]);
    expect(placed(pod("p"), state)).toBe("0/1 nodes are available: 1 Too many pods.");
  });

  test("a daemon's pod looks at its own node alone", () => {
    const fields = (...values: string[]): Partial<PodSpec> => ({
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [
              { matchFields: [{ key: "metadata.name", operator: "In", values }] },
            ],
          },
        },
      },
    });
    const state = cluster([node("a"), node("b", { cpu: "1" }), node("c")]);
    expect(placed(pod("p", fields("c")), state)).toBe("c");
    expect(placed(pod("p", { ...fields("b"), ...asking("2") }), state)).toBe(
      "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity].",
    );
  });
});

describe("pod affinity", () => {
  const near = (term: object, key = "zone"): Partial<PodSpec> => ({
    affinity: {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: key, labelSelector: { matchLabels: { app: "db" } }, ...term },
        ],
      },
    },
  });
  const zoned = () =>
    cluster(
      [
        node("a", { labels: { zone: "1" } }),
        node("b", { labels: { zone: "1" } }),
        node("c", { labels: { zone: "2" } }),
      ],
      [[pod("db", {}, { labels: { app: "db" }, namespace: "data" }), "b"]],
    );

  test("by default the pod's own namespace counts, else those listed", () => {
    expect(placed(pod("p", near({})), zoned())).toContain("didn't match pod affinity rules");
    expect(placed(pod("p", near({ namespaces: ["data"] })), zoned())).toMatch(/^[ab]$/);
  });

  test("namespaces by their labels; an empty selector is all of them", () => {
    const state = zoned();
    const team = near({ namespaceSelector: { matchLabels: { team: "x" } } });
    expect(placed(pod("p", team), state)).toContain("didn't match pod affinity rules");
    state.namespaces.set("data", { team: "x" });
    expect(placed(pod("p", team), state)).toMatch(/^[ab]$/);
    expect(placed(pod("p", near({ namespaceSelector: {} })), state)).toMatch(/^[ab]$/);
  });

  test("the first of a group may go anywhere, the next goes where it is", () => {
    const self = near({});
    const state = zoned();
    const first = pod("p1", self, { labels: { app: "db" } });
    state.assume(first, "c");
    expect(placed(pod("p2", self, { labels: { app: "db" } }), state)).toBe("c");
  });

  test("all terms must be met by one and the same pod", () => {
    const state = cluster(
      [node("a"), node("b")],
      [
        [pod("x", {}, { labels: { app: "x" } }), "a"],
        [pod("y", {}, { labels: { app: "y" } }), "a"],
        [pod("xy", {}, { labels: { app: "x", also: "y" } }), "b"],
      ],
    );
    const term = (matchLabels: Record<string, string>) => ({
      topologyKey: "kubernetes.io/hostname",
      labelSelector: { matchLabels },
    });
    const affinity = {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [term({ app: "x" }), term({ also: "y" })],
      },
    };
    expect(placed(pod("p", { affinity }), state)).toBe("b");
  });

  test("a wish draws near or apart, and so does one of a running pod", () => {
    const wish = (kind: "podAffinity" | "podAntiAffinity"): Partial<PodSpec> => ({
      affinity: {
        [kind]: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            {
              weight: 100,
              podAffinityTerm: {
                topologyKey: "kubernetes.io/hostname",
                labelSelector: { matchLabels: { app: "w" } },
              },
            },
          ],
        },
      },
    });
    const labels = { app: "w" };
    const state = cluster([node("a"), node("b")], [[pod("w", {}, { labels }), "b"]]);
    expect(placed(pod("p", wish("podAffinity")), state)).toBe("b");
    expect(placed(pod("p", wish("podAntiAffinity")), state)).toBe("a");
    const other = cluster(
      [node("a", { cpu: "1" }), node("b")],
      [[pod("x", wish("podAntiAffinity")), "b"]],
    );
    expect(placed(pod("w", {}, { labels }), other)).toBe("a");
  });
});

describe("scores", () => {
  const set = {
    ownerReferences: [
      { apiVersion: "apps/v1", kind: "ReplicaSet", name: "s", uid: "s", controller: true },
    ],
  };

  test("pods of one set spread over nodes and zones", () => {
    const zone = (name: string, value: string) =>
      node(name, { cpu: "64", labels: { "topology.kubernetes.io/zone": value } });
    const state = cluster([zone("a1", "a"), zone("a2", "a"), zone("b1", "b"), zone("b2", "b")]);
    const zones: string[] = [];
    const names = new Set<string>();
    for (let i = 0; i < 4; i++) {
      const one = pod(`p${i}`, {}, { meta: set });
      const name = placed(one, state, 0.5);
      state.assume(one, name);
      names.add(name);
      zones.push(name.slice(0, 1));
    }
    expect(names.size).toBe(4);
    expect(zones[0]).not.toBe(zones[1]);
  });

  test("ScheduleAnyway is a wish: kept where it can be, and never in the way", () => {
    const spec: Partial<PodSpec> = {
      ...asking("500m"),
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: "zone",
          whenUnsatisfiable: "ScheduleAnyway",
          labelSelector: { matchLabels: { app: "w" } },
        },
      ],
    };
    const labels = { app: "w" };
    const nodes = [node("a", { labels: { zone: "1" } }), node("b", { labels: { zone: "2" } })];
    const state = cluster(nodes, [[pod("x", {}, { labels }), "a"]]);
    expect(placed(pod("p", spec, { labels }), state)).toBe("b");
    state.assume(pod("y", asking("1600m")), "b");
    expect(placed(pod("p", spec, { labels }), state)).toBe("a");
  });

  test("images that are there draw, the more the more nodes have them", () => {
    const images = [{ names: ["i:latest"], sizeBytes: 900_000_000 }];
    const state = cluster([node("a"), node("b", { images }), node("c", { images })]);
    expect(placed(pod("p"), state)).toBe("b");
    expect(placed(pod("p"), state, 0.99)).toBe("c");
    state.setNode("b", node("b"));
    expect(placed(pod("p"), state, 0.99)).toBe("c");
  });

  test("a soft taint repels, a tolerated one does not", () => {
    const taints = [{ key: "k", effect: "PreferNoSchedule" }];
    const state = cluster([node("a", { taints, cpu: "64" }), node("b")]);
    expect(placed(pod("p"), state)).toBe("b");
    expect(placed(pod("p", { tolerations: [{ key: "k", operator: "Exists" }] }), state)).toBe("a");
  });

  test("another profile packs", () => {
    const state = cluster([node("a"), node("b")], [[pod("x", asking("1")), "b"]]);
    expect(placed(pod("p", asking("500m")), state)).toBe("a");
    const decision = schedule(pod("p", asking("500m")), state, {
      random: 0,
      profile: packingProfile,
    });
    expect(decision.fits && decision.nodeName).toBe("b");
  });
});

test("with many nodes a part is looked at, each pod from another start", () => {
  const nodes = Array.from({ length: 400 }, (_, i) => node(`n${i}`));
  const state = cluster(nodes);
  const decision = schedule(pod("p"), state, { random: 0, from: 390 });
  expect(decision.fits && decision.looked).toBe(100);
  expect(decision.fits && decision.nodeName).toBe("n390");
});

test("property: what is put and taken away leaves the counts as they were", () => {
  const input = fc.record({
    name: fc.integer({ min: 0, max: 5 }),
    at: fc.constantFrom("a", "b", "gone"),
    app: fc.constantFrom("x", "y"),
    over: fc.boolean(),
    leaves: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(input, { maxLength: 30 }), (inputs) => {
      const state = cluster([node("a"), node("b")]);
      const last = new Map<string, (typeof inputs)[number]>();
      const make = (one: (typeof inputs)[number]) =>
        pod(
          `p${one.name}`,
          { ...asking("100m"), nodeName: one.at },
          {
            labels: { app: one.app },
            meta: one.leaves ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {},
            status: { phase: one.over ? "Failed" : "Running" },
          },
        );
      for (const one of inputs) {
        state.setPod(`default/p${one.name}`, make(one));
        last.set(`default/p${one.name}`, one);
      }
      const fresh = cluster([node("a"), node("b")]);
      for (const [key, one] of last) fresh.setPod(key, make(one));
      expect(snapshot(state)).toEqual(snapshot(fresh));
      for (const key of last.keys()) state.setPod(key, undefined);
      expect(snapshot(state)).toEqual(snapshot(cluster([node("a"), node("b")])));
    }),
  );
});
