import { beforeEach, expect, test } from "bun:test";
import { silentLog } from "#base/log.ts";
import { createRecorder, type EventNote, type Recorder } from "#client/events.ts";
import { events } from "#resources/kinds/event.ts";
import { type FakeClock, fakeClock } from "#test/support/clock.ts";
import { FakeApi } from "#test/support/fakeapi.ts";

let api: FakeApi;
let clock: FakeClock;
let recorder: Recorder;
beforeEach(() => {
  api = new FakeApi();
  clock = fakeClock();
  const component = "test-controller";
  recorder = createRecorder({ client: api.client, clock, log: silentLog, component, host: "n1" });
});

const note = (message: string, name = "web"): EventNote => ({
  about: {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { namespace: "x", name, uid: `uid-${name}` },
  },
  type: "Normal",
  reason: "Scaled",
  message,
});

async function told(...notes: EventNote[]) {
  for (const one of notes) recorder.record(one);
  await recorder.idle();
  return (await api.client.list(events)).items;
}

test("an event says who tells it of what", async () => {
  const [event] = await told(note("up"));
  expect(event).toMatchObject({
    metadata: { namespace: "x" },
    involvedObject: { kind: "Deployment", name: "web", uid: "uid-web", apiVersion: "apps/v1" },
    source: { component: "test-controller", host: "n1" },
    reportingComponent: "test-controller",
    type: "Normal",
    reason: "Scaled",
    message: "up",
    count: 1,
    firstTimestamp: "2026-01-01T00:00:00Z",
  });
  expect(event?.metadata.name).toMatch(/^web\.[0-9a-f]+$/);
});

test("the same again is counted, not repeated", async () => {
  await told(note("up"));
  await clock.advance(60_000);
  const all = await told(note("up"), note("up"));
  expect(all).toHaveLength(1);
  expect(all[0]).toMatchObject({
    count: 3,
    firstTimestamp: "2026-01-01T00:00:00Z",
    lastTimestamp: "2026-01-01T00:01:00Z",
  });
});

test("an event that was removed meanwhile is made anew", async () => {
  const [event] = await told(note("up"));
  api.remove(`/api/v1/namespaces/x/events/${event?.metadata.name}`);
  expect(await told(note("up"))).toMatchObject([{ count: 1 }]);
});

test("many that differ in their message alone become one", async () => {
  const all = await told(...Array.from({ length: 20 }, (_, i) => note(`pod ${i}`)));
  expect(all).toHaveLength(11);
  expect(all.at(-1)).toMatchObject({
    message: "(combined from similar events): pod 19",
    count: 10,
  });
});

test("a subject that floods is cut off, others are not", async () => {
  await told(...Array.from({ length: 100 }, () => note("up")));
  const all = await told(note("up", "other"));
  expect(all.map(({ count }) => count)).toEqual([25, 1]);
  await clock.advance(300_000);
  expect((await told(note("up")))[0]?.count).toBe(26);
});

test("of a cluster-scoped object it is told in the default namespace", async () => {
  const about = { apiVersion: "v1", kind: "Node", metadata: { name: "n1" } };
  const [event] = await told({ ...note("gone"), about });
  expect(event?.metadata.namespace).toBe("default");
});

test("what cannot be sent holds nobody up", async () => {
  api.fault = () => Response.json({ kind: "Status", code: 500 }, { status: 500 });
  expect(await told(note("up")).catch(() => "list failed")).toBe("list failed");
  api.fault = undefined;
  expect(await told(note("down"))).toHaveLength(1);
});
