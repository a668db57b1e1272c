import { describe, expect, test } from "bun:test";
import { OperatorError } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import { Writer } from "#base/proto.ts";
import { itemOf } from "#store/etcd/item.ts";
import { endpointOf } from "#store/etcd/members.ts";
import { rangeAnswer, txnAnswer, txnRequest, watchAnswer } from "#store/etcd/messages.ts";
import { Rounds } from "#store/etcd/rounds.ts";

describe("addresses", () => {
  test("of members, with and without TLS", () => {
    expect(endpointOf("http://10.0.0.1:2379", undefined)).toEqual({
      hostname: "10.0.0.1",
      port: 2379,
    });
    expect(endpointOf("https://[fd00::1]", { ca: "PEM" })).toEqual({
      hostname: "fd00::1",
      port: 2379,
      tls: { ca: "PEM" },
    });
  });

  for (const text of ["10.0.0.1:2379", "ftp://x", "http://", ""]) {
    test(`${JSON.stringify(text)} is none`, () => {
      expect(() => endpointOf(text, undefined)).toThrow(OperatorError);
      expect(() => endpointOf(text, undefined)).toThrow("--datastore");
    });
  }
});

describe("messages", () => {
  const header = new Writer().number(3, 7).done();
  const text = (value: string) => new TextEncoder().encode(value);
  const item = new Writer()
    .bytes(1, text("/b/x"))
    .number(2, 5)
    .number(3, 6)
    .bytes(5, text("v"))
    .done();
  const found = { key: "/b/x", value: "v", createRevision: 5, modRevision: 6 };

  test("a write where nothing may stand compares with revision 0, which is not written", () => {
    const hex = (expected: number) =>
      Buffer.from(txnRequest({ key: "k", value: undefined, expect: expected })).toString("hex");
    expect(hex(0)).toBe(`0a0510021a016b${"12051a030a016b"}${"1a050a030a016b"}`);
    expect(hex(9)).toContain("3009");
  });

  test("answers of writes, reads and watches", () => {
    expect(txnAnswer(new Writer().bytes(1, header).bool(2, true).done())).toEqual({
      succeeded: true,
      revision: 7,
      current: undefined,
      guard: 0,
      also: 0,
    });
    const read = new Writer().bytes(1, new Writer().bytes(2, item).done()).done();
    expect(txnAnswer(new Writer().bytes(1, header).bytes(3, read).done()).current).toEqual(found);
    const page = new Writer().bytes(1, header).bytes(2, item).bool(3, true).done();
    expect(rangeAnswer(page)).toEqual({ revision: 7, items: [found], more: true });
    const event = new Writer().number(1, 1).bytes(2, item).done();
    const told = watchAnswer(new Writer().bytes(1, header).bytes(11, event).done());
    expect(told.events).toEqual([{ type: "delete", item: found }]);
    const ended = new Writer().bytes(1, header).bool(4, true).number(5, 3).text(6, "old").done();
    expect(watchAnswer(ended)).toMatchObject({ cancelled: "old", compactRevision: 3, events: [] });
  });
});

describe("rounds", () => {
  /** Rounds that the test ends one by one. */
  function scripted() {
    const open: Array<PromiseWithResolvers<void>> = [];
    const rounds = new Rounds(() => {
      const round = Promise.withResolvers<void>();
      open.push(round);
      return round.promise;
    });
    return { rounds, open };
  }
  const turn = async () => {
    for (let i = 0; i < 3; i++) await new Promise<void>((resolve) => setImmediate(resolve));
  };

  test("those of one turn share one, those who come while it runs wait for the next", async () => {
    const { rounds, open } = scripted();
    const first = [rounds.join(), rounds.join()];
    await turn();
    const second = [rounds.join(), rounds.join()];
    await turn();
    expect(open.length).toBe(1);
    open[0]?.resolve();
    await Promise.all(first);
    await turn();
    expect(open.length).toBe(2);
    open[1]?.resolve();
    await Promise.all(second);
  });

  test("one waits some turns for as many as came before, not for those who stay away", async () => {
    const { rounds, open } = scripted();
    const first = Array.from({ length: 8 }, () => rounds.join());
    await turn();
    open[0]?.resolve();
    await Promise.all(first);
    const second = [rounds.join()];
    await turn();
    expect(open.length).toBe(1);
    for (let i = 0; i < 8; i++) second.push(rounds.join());
    await turn();
    expect(open.length).toBe(2);
    open[1]?.resolve();
    await Promise.all(second);
    const third = rounds.join();
    await turn();
    expect(open.length).toBe(2);
    for (let i = 0; i < limits.etcdGatherTurnsMax; i += 3) await turn();
    expect(open.length).toBe(3);
    open[2]?.resolve();
    await third;
  });

  test("a round that fails is the failure of its own askers only", async () => {
    const { rounds, open } = scripted();
    const first = rounds.join();
    await turn();
    const second = rounds.join();
    open[0]?.reject(new Error("no"));
    expect(await first.catch((error: Error) => error.message)).toBe("no");
    await turn();
    open[1]?.resolve();
    await second;
  });
});

describe("items", () => {
  const plain = { key: "core/pods/a/b", value: "{}", revision: 3 };

  test("what another server wrote is parsed when its terms are asked for, once", () => {
    let parsed = 0;
    const codec = {
      stamp: (value: string) => value,
      terms: () => ({ labels: { parsed: String(++parsed) }, fields: {} }),
    };
    const item = itemOf(plain, codec, undefined);
    expect(parsed).toBe(0);
    expect(item.terms.labels).toEqual({ parsed: "1" });
    expect({ ...item }.terms).toBe(item.terms);
    expect(parsed).toBe(1);
    const own = { labels: {}, fields: {} };
    expect(itemOf(plain, codec, own).terms).toBe(own);
    expect(parsed).toBe(1);
  });
});
