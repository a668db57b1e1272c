import { expect, test } from "bun:test";
import { limits } from "#base/limits.ts";
import { Calls, type Message } from "../../../../src/main/traffic/calls.ts";

interface Sums {
  add(a: number, b: number): Promise<number>;
  never(): Promise<void>;
}

/** Two sides; messages are copied as between threads. */
function pair() {
  const sums: Sums = {
    add: async (a, b) => {
      if (a < 0) throw new Error("not below zero");
      return a + b;
    },
    never: () => new Promise(() => {}),
  };
  const posted: Message[] = [];
  const asker: Calls<Sums> = new Calls<Sums>((message) => {
    posted.push(message);
    answerer.take(structuredClone(message));
  }, {});
  const answerer = new Calls<object>((message) => asker.take(structuredClone(message)), {
    ...sums,
  });
  return { asker, answerer, posted };
}

test("answers come to who asked, in any order; an error with its message", async () => {
  const { asker } = pair();
  const asked = [asker.ask("never"), asker.ask("add", 1, 2), asker.ask("add", 3, 4)];
  expect(await Promise.all(asked.slice(1))).toEqual([3, 7]);
  await expect(asker.ask("add", -1, 0)).rejects.toThrow("not below zero");
  await expect(asker.ask("sub" as "add", 1, 0)).rejects.toThrow("nobody offers sub");
});

test("when the other side is gone nobody waits for it, and it is told nothing", async () => {
  const { asker, posted } = pair();
  const asked = asker.ask("never");
  asker.end("it broke");
  await expect(asked).rejects.toThrow("it broke");
  await expect(asker.ask("add", 1, 2)).rejects.toThrow("it broke");
  expect(posted).toHaveLength(1);
});

test("only so many calls are under way", async () => {
  const { asker } = pair();
  for (let i = 0; i < limits.threadCallsMax; i++) asker.ask("never").catch(() => {});
  await expect(asker.ask("add", 1, 2)).rejects.toThrow("too many calls");
  asker.end("over");
});
