/** What slices show of pods that start and go, near and far, on the real API. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import { services } from "#resources/kinds/service.ts";
import type { Endpoint, ServiceSpec } from "#resources/types.gen.ts";
import { type Plane, startPlane, until } from "#test/component/controllers/plane.ts";

const namespace = "default";
const ZONES = { n1: "north", n2: "south" };

let plane: Plane;
beforeAll(async () => {
  plane = await startPlane(Object.keys(ZONES), {
    becomesReady: ({ metadata }) => metadata.labels?.["slow"] === undefined,
  });
  for (const [name, zone] of Object.entries(ZONES)) {
    const labels = { "topology.kubernetes.io/zone": zone };
    await plane.client.patch(nodes, { name }, "merge", { metadata: { labels } });
  }
});
afterAll(() => plane.close());

const pod = (name: string, app: string, nodeName: string, labels: Record<string, string> = {}) =>
  plane.client.create(pods, {
    metadata: { namespace, name, labels: { app, ...labels } },
    spec: { containers: [{ name: "c", image: "i" }], nodeName },
  });
const service = (name: string, spec: Partial<ServiceSpec> = {}) =>
  plane.client.create(services, {
    metadata: { namespace, name },
    spec: { selector: { app: name }, ports: [{ port: 80 }], ...spec },
  });
const shown = async (name: string): Promise<Map<string, Endpoint>> => {
  const labelSelector = `kubernetes.io/service-name=${name}`;
  const { items } = await plane.client.list(endpointSlices, { namespace, labelSelector });
  const all = items.flatMap(({ endpoints }) => endpoints);
  return new Map(all.map((one) => [one.targetRef?.name ?? "", one]));
};
const shows = (name: string, wanted: Record<string, object>) =>
  until(`${name} shows ${JSON.stringify(wanted)}`, async () => {
    const found = [...(await shown(name))].map(([key, { conditions }]) => [key, conditions]);
    return Bun.deepEquals(Object.fromEntries(found), wanted);
  });
const is = (ready: boolean, serving: boolean, terminating: boolean) => ({
  ready,
  serving,
  terminating,
});

test("one that goes is told as such as long as it still answers, then is gone", async () => {
  await service("goes");
  await pod("stays", "goes", "n1");
  const leaving = await pod("leaves", "goes", "n2");
  const ref = { namespace, name: leaving.metadata.name };
  await plane.client.patch(pods, ref, "merge", { metadata: { finalizers: ["example.com/hold"] } });
  await shows("goes", { stays: is(true, true, false), leaves: is(true, true, false) });
  await plane.client.delete(pods, ref);
  await shows("goes", { stays: is(true, true, false), leaves: is(false, true, true) });
  const status = { conditions: [{ type: "Ready", status: "False" }] };
  await plane.client.patch(pods, ref, "merge", { status }, { subresource: "status" });
  await shows("goes", { stays: is(true, true, false), leaves: is(false, false, true) });
  await plane.client.patch(pods, ref, "merge", { metadata: { finalizers: null } });
  await shows("goes", { stays: is(true, true, false) });
});

test("one that is not ready is told as such, or as ready where its Service says so", async () => {
  await service("early", { clusterIP: "None", publishNotReadyAddresses: true });
  await service("late");
  await plane.client.patch(services, { namespace, name: "late" }, "merge", {
    spec: { selector: { app: "early" } },
  });
  await pod("slow", "early", "n1", { slow: "yes" });
  await shows("late", { slow: is(false, false, false) });
  await shows("early", { slow: is(true, false, false) });
});

test("hints name the zone and the node of each, where its traffic is to stay near", async () => {
  await service("near", { trafficDistribution: "PreferClose" });
  await service("far");
  await plane.client.patch(services, { namespace, name: "far" }, "merge", {
    spec: { selector: { app: "near" } },
  });
  await pod("near-1", "near", "n1");
  await pod("near-2", "near", "n2");
  const ready = is(true, true, false);
  await shows("near", { "near-1": ready, "near-2": ready });
  await until("hints of zones", async () => {
    const near = await shown("near");
    return Object.entries({ "near-1": "n1", "near-2": "n2" } as const).every(([name, nodeName]) => {
      const found = near.get(name);
      const zone = ZONES[nodeName];
      const hinted = found?.hints?.forZones?.map((each) => each.name).join();
      return found?.nodeName === nodeName && found.zone === zone && hinted === zone;
    });
  });
  await shows("far", { "near-1": ready, "near-2": ready });
  expect((await shown("far")).get("near-1")?.hints).toBeUndefined();
  await plane.client.patch(services, { namespace, name: "far" }, "merge", {
    spec: { trafficDistribution: "PreferSameNode" },
  });
  await until("hints of nodes", async () => {
    const hints = (await shown("far")).get("near-2")?.hints;
    return hints?.forNodes?.[0]?.name === "n2" && hints.forZones?.[0]?.name === "south";
  });
});

test("nothing was logged as going wrong", () => {
  expect(plane.lines).toEqual([]);
});
