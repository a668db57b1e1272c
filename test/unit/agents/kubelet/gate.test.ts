import { expect, test } from "bun:test";
import { Gate } from "#agents/kubelet/gate.ts";

/** Work that ends when told to. */
function held() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { work: () => promise, end: resolve };
}

test("so many at once, and what is nearer to its end goes first", async () => {
  const gate = new Gate(1);
  const first = held();
  const order: string[] = [];
  const all = [
    gate.run(0, first.work),
    gate.run(1, async () => void order.push("begun")),
    gate.run(0, async () => void order.push("nearly done")),
  ];
  expect(gate.waiting).toBe(2);
  first.end();
  await Promise.all(all);
  expect(order).toEqual(["nearly done", "begun"]);
  expect(gate.waiting).toBe(0);
});

test("it is idle once nothing is under way any more, also after a failure", async () => {
  const gate = new Gate(2);
  await gate.idle();
  const [a, b] = [held(), held()];
  const runs = [gate.run(0, a.work), gate.run(0, b.work).catch(() => {})];
  let idle = false;
  const waited = gate.idle().then(() => {
    idle = true;
  });
  a.end();
  await runs[0];
  await Promise.resolve();
  expect(idle).toBe(false);
  b.end();
  await waited;
  expect(idle).toBe(true);
  await expect(gate.run(0, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  await gate.idle();
});
