import { afterAll, beforeAll, expect, test } from "bun:test";
import { limits } from "#base/limits.ts";
import { startApi, type TestApi } from "#test/support/api.ts";
import { type FakeClock, fakeClock } from "#test/support/clock.ts";

let api: TestApi;
let clock: FakeClock;
beforeAll(async () => {
  clock = fakeClock();
  api = await startApi({ clock });
});
afterAll(() => api.close());

const MAPS = "/api/v1/namespaces/default/configmaps";
const looks = async (count: number) => {
  for (let i = 0; i < count; i++) await clock.advance(limits.historyLookMs);
};
const make = (name: string) => api.create(MAPS, { metadata: { name } });

test("a list goes on where it began for a while, then at the present", async () => {
  for (const name of ["a", "b", "c"]) await make(name);
  const first = (await api.call("GET", `${MAPS}?limit=1`)).body.metadata;
  const next = `${MAPS}?limit=1&continue=${first.continue}`;
  await make("later");
  await looks(limits.historyCalmLooks - 1);
  const soon = await api.call("GET", next);
  expect([soon.code, soon.body.metadata.resourceVersion]).toEqual([200, first.resourceVersion]);
  await looks(2);
  const late = await api.call("GET", next);
  expect([late.code, late.body.reason]).toEqual([410, "Expired"]);
  const token = late.body.metadata.continue;
  const { body } = await api.call("GET", `${MAPS}?limit=1&continue=${token}`);
  expect(body.items[0].metadata.name).toBe("b");
  expect(body.metadata.resourceVersion).not.toBe(first.resourceVersion);
  const watch = await api.call("GET", `${MAPS}?watch=1&resourceVersion=${first.resourceVersion}`);
  expect(watch.code).toBe(410);
});

test("where much changes, what came before is forgotten at once", async () => {
  const first = (await api.call("GET", `${MAPS}?limit=1`)).body.metadata;
  const next = () => api.call("GET", `${MAPS}?limit=1&continue=${first.continue}`);
  const text = "x".repeat(1024 * 1024);
  for (let i = 0; i * text.length <= limits.historyCalmBytesMax; i++) {
    await api.create(MAPS, { metadata: { name: `big-${i}` }, data: { text } });
  }
  await looks(limits.historyBusyLooks);
  expect((await next()).code).toBe(200);
  await looks(1);
  expect((await next()).code).toBe(410);
});
