import { describe, expect, test } from "bun:test";
import { Outbox, type Sink } from "#api/outbox.ts";
import { limits } from "#base/limits.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (all: readonly Uint8Array[]): string =>
  all.map((each) => new TextDecoder().decode(each)).join(" ");

/** A connection that takes as much as it is told to. */
class FakeSink implements Sink {
  readonly taken: Uint8Array[] = [];
  room = Number.POSITIVE_INFINITY;
  #drained = Promise.withResolvers<void>();
  #gone: (() => void) | undefined;
  #isGone = false;

  get ready(): boolean {
    return this.room > 0 && !this.#isGone;
  }

  write(piece: Uint8Array): void {
    this.room -= 1;
    this.taken.push(piece);
  }

  drained(): Promise<void> {
    return this.#drained.promise;
  }

  whenGone(callback: () => void): void {
    this.#gone = callback;
  }

  drain(room: number): Promise<void> {
    this.room = room;
    return this.#settle();
  }

  leave(): Promise<void> {
    this.#isGone = true;
    this.#gone?.();
    return this.#settle();
  }

  async #settle(): Promise<void> {
    const { resolve } = this.#drained;
    this.#drained = Promise.withResolvers();
    resolve();
    await new Promise((done) => setImmediate(done));
  }
}

function boxOf(first: Iterator<Uint8Array> = [].values()) {
  const told = { gone: 0 };
  const outbox = new Outbox(first, () => {
    told.gone += 1;
  });
  return { outbox, told, sink: new FakeSink() };
}

describe("what a connection is sent", () => {
  test("is what was there, then what came meanwhile, then what comes, at once", async () => {
    const { outbox, sink } = boxOf([bytes("a"), bytes("b")].values());
    outbox.push(bytes("c"));
    const sent = outbox.sendTo(sink);
    expect(textOf(sink.taken)).toBe("a b c");
    outbox.push(bytes("d"));
    expect(textOf(sink.taken)).toBe("a b c d");
    outbox.end();
    await sent;
    outbox.push(bytes("e"));
    expect(textOf(sink.taken)).toBe("a b c d");
  });

  test("waits until it takes more, and is still sent after the end", async () => {
    const { outbox, sink } = boxOf([bytes("a"), bytes("b"), bytes("c")].values());
    sink.room = 1;
    const sent = outbox.sendTo(sink);
    outbox.push(bytes("d"));
    expect(textOf(sink.taken)).toBe("a");
    await sink.drain(2);
    expect(textOf(sink.taken)).toBe("a b c");
    await sink.drain(2);
    expect(textOf(sink.taken)).toBe("a b c d");
    outbox.push(bytes("e"));
    outbox.push(bytes("f"));
    outbox.end();
    expect(textOf(sink.taken)).toBe("a b c d e");
    await sink.drain(2);
    await sent;
    expect(textOf(sink.taken)).toBe("a b c d e f");
  });

  test("lets others have a turn now and then", async () => {
    const piece = new Uint8Array(100 * 1024);
    const { outbox, sink } = boxOf([piece, piece, piece, piece].values());
    void outbox.sendTo(sink);
    expect(sink.taken.length).toBe(3);
    await new Promise((done) => setImmediate(done));
    expect(sink.taken.length).toBe(4);
  });

  test("is bounded while it does not read; then it is cut", async () => {
    const { outbox, sink, told } = boxOf();
    sink.room = 1;
    const sent = outbox.sendTo(sink);
    outbox.push(bytes("a"));
    expect(outbox.push(new Uint8Array(limits.watcherBacklogBytesMax))).toBe(true);
    expect(outbox.push(bytes("b"))).toBe(false);
    outbox.cut("too slow");
    await expect(sent).rejects.toThrow("too slow");
    await sink.drain(9);
    expect(textOf(sink.taken)).toBe("a");
    expect(told.gone).toBe(0);
  });
});

test("a client that goes is told of once, and gets no more", async () => {
  const { outbox, sink, told } = boxOf();
  const sent = outbox.sendTo(sink);
  await sink.leave();
  await sent;
  outbox.push(bytes("a"));
  outbox.end();
  expect([told.gone, sink.taken.length]).toEqual([1, 0]);
});

test("what cannot be made breaks the connection, and the watch is over", async () => {
  function* broken(): Generator<Uint8Array> {
    yield bytes("a");
    throw new Error("cannot be told");
  }
  const { outbox, sink, told } = boxOf(broken());
  await expect(outbox.sendTo(sink)).rejects.toThrow("cannot be told");
  expect([told.gone, textOf(sink.taken)]).toEqual([1, "a"]);
});

test("what was there at the start is let go once it was taken", async () => {
  const COUNT = 50;
  const held: Array<WeakRef<object>> = [];
  const boxes: Outbox[] = [];
  const begin = (): void => {
    const start = [bytes("what was there")];
    held.push(new WeakRef(start));
    const { outbox, sink } = boxOf(start.values());
    void outbox.sendTo(sink);
    boxes.push(outbox);
  };
  for (let i = 0; i < COUNT; i++) begin();
  // A reference lives to the end of its turn.
  await new Promise((done) => setImmediate(done));
  Bun.gc(true);
  const left = held.filter((each) => each.deref() !== undefined).length;
  // Some may still be on the stack.
  expect(left).toBeLessThan(COUNT / 5);
  expect(boxes.length).toBe(COUNT);
});
