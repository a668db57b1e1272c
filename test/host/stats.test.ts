/** Use and limits of real control groups. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createControlGroups, ResizeError } from "#agents/runtime/stats.ts";
import { eventually, type HostRuntime, startHostRuntime } from "#test/support/runtime.ts";

setDefaultTimeout(240_000);

let host: HostRuntime;
const groups = createControlGroups();

beforeAll(async () => {
  host = await startHostRuntime("stats");
});
afterAll(() => host?.close());

test("CPU, memory and processes of a container", async () => {
  const script = "head -c 20000000 /dev/zero | tail -c 20000000 >/dev/shm/x & while :; do :; done";
  const spec = host.spec(script, { memoryLimitBytes: 256 << 20, cpuQuotaMicros: 10_000 });
  const { id, pid } = await host.runtime.run(spec);
  const path = `${spec.cgroupParent}/${id}`;
  expect(await groups.pathOf(pid ?? 0)).toBe(path);
  const first = await groups.stats(path);
  const busy = await eventually("its use", async () => {
    const now = await groups.stats(path);
    const cpu = (now?.cpuUsageNanos ?? 0) - (first?.cpuUsageNanos ?? 0);
    const isThrottled = (now?.throttledPeriods ?? 0) > 0;
    return cpu > 100e6 && isThrottled && (now?.workingSetBytes ?? 0) > 20e6 ? now : undefined;
  });
  expect(busy.memoryLimitBytes).toBe(256 << 20);
  expect(busy.memoryUsageBytes).toBeLessThan(100e6);
  expect(busy.pids).toBeGreaterThan(0);
  expect(busy.oomKills).toBe(0);
  await host.runtime.remove([id]);
  expect(await groups.stats(path)).toBeUndefined();
  expect(await groups.stats("/")).toMatchObject({ pids: expect.any(Number) });
});

test("OOM kills are counted", async () => {
  const script = "(head -c 100000000 /dev/zero | tail >/dev/null); sleep 1000";
  const spec = host.spec(script, { memoryLimitBytes: 8 << 20 });
  const { id } = await host.runtime.run(spec);
  const path = `${spec.cgroupParent}/${id}`;
  await eventually(
    "the kill",
    async () => ((await groups.stats(path))?.oomKills ?? 0) > 0 || undefined,
  );
  await host.runtime.remove([id]);
});

test("limits change while it runs, up and down, but not below what is used", async () => {
  const spec = host.spec("head -c 20000000 /dev/zero >/dev/shm/x; echo full; sleep 1000", {
    memoryLimitBytes: 64 << 20,
    cpuQuotaMicros: 20_000,
    cpuShares: 100,
  });
  const { id } = await host.runtime.run(spec);
  await host.logWith(spec.logPath, "full");
  const path = `${spec.cgroupParent}/${id}`;
  const limit = async () => (await groups.stats(path))?.memoryLimitBytes;
  await groups.resize(path, {
    memoryLimitBytes: 128 << 20,
    cpuQuotaMicros: 40_000,
    cpuShares: 200,
  });
  expect(await limit()).toBe(128 << 20);
  await groups.resize(path, { memoryLimitBytes: 40 << 20 });
  expect(await limit()).toBe(40 << 20);
  const small = groups.resize(path, { memoryLimitBytes: 1 << 20 });
  await expect(small).rejects.toBeInstanceOf(ResizeError);
  expect(await limit()).toBe(40 << 20);
  await groups.resize(path, { memoryLimitBytes: null, cpuQuotaMicros: null });
  expect(await limit()).toBeUndefined();
  expect((await host.runtime.list()).find((each) => each.id === id)?.state).toBe("running");
  const gone = groups.resize(`${path}-none`, { cpuShares: 2 });
  await expect(gone).rejects.toBeInstanceOf(ResizeError);
  await host.runtime.remove([id]);
});

test("disk of a container's own files", async () => {
  const spec = host.spec("head -c 5000000 /dev/zero >/x; echo written; sleep 1000");
  const { id } = await host.runtime.run(spec);
  await host.logWith(spec.logPath, "written");
  const usage = await host.runtime.usage(id);
  expect(usage?.bytes).toBeGreaterThan(4_900_000);
  expect(usage?.bytes).toBeLessThan(6_000_000);
  await host.runtime.remove([id]);
  expect(await host.runtime.usage(id)).toBeUndefined();
});
