import { expect, test } from "bun:test";
import { createMemory } from "#agents/offline/memory.ts";
import type { Vault } from "#agents/offline/vault.ts";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import type { ApiObject } from "#resources/meta.ts";
import { fakeClock } from "#test/support/clock.ts";

function world() {
  const texts = new Map<string, string>();
  let writes = 0;
  const vault: Vault = {
    read: (name) => texts.get(name),
    write(name, text) {
      writes++;
      texts.set(name, text);
    },
    remove: (name) => void texts.delete(name),
  };
  const clock = fakeClock();
  const make = () => createMemory({ vault, clock, log: silentLog });
  return { clock, make, writes: () => writes };
}

const pod = (image: string, phase: string, revision: string) =>
  ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "a", resourceVersion: revision },
    spec: { containers: [{ name: "c", image }] },
    status: { phase },
  }) as ApiObject;

test("what a cache shows is kept a little later, and known after a restart", async () => {
  const { clock, make, writes } = world();
  const memory = make();
  expect(memory.load("pods")).toBeUndefined();
  memory.keep("pods", () => [pod("1", "Running", "5")]);
  expect(writes()).toBe(0);
  await clock.advance(limits.memoryDelayMs);
  expect(make().load("pods")).toMatchObject([{ status: { phase: "Running" } }]);
});

test("a change of the status alone costs no write, one of the spec and an end do", async () => {
  const { clock, make, writes } = world();
  const memory = make();
  const steps: Array<[ApiObject, number]> = [
    [pod("1", "Pending", "1"), 1],
    [pod("1", "Running", "2"), 1],
    [pod("2", "Running", "3"), 2],
    [pod("2", "Failed", "4"), 3],
  ];
  for (const [object, expected] of steps) {
    memory.keep("pods", () => [object]);
    await clock.advance(limits.memorySpacingMs);
    expect(writes()).toBe(expected);
  }
  const next = make();
  next.load("pods");
  next.keep("pods", () => [pod("2", "Failed", "9")]);
  await clock.advance(limits.memorySpacingMs);
  expect(writes()).toBe(3);
});

test("what changes all the time is written seldom, and at the end", async () => {
  const { clock, make, writes } = world();
  const memory = make();
  const change = async (count: number): Promise<number> => {
    const before = writes();
    for (let i = 0; i < count; i++) {
      memory.keep("pods", () => [pod(`${count} ${i}`, "Running", "1")]);
      await clock.advance(1_000);
    }
    return writes() - before;
  };
  // A few changes reach the disk at once, the next ones do not.
  expect(await change(10)).toBeGreaterThanOrEqual(4);
  await change(60);
  expect(await change(120)).toBeLessThanOrEqual(4);
  memory.keep("pods", () => [pod("last", "Running", "1")]);
  memory.close();
  expect(JSON.stringify(make().load("pods"))).toContain("last");
});
