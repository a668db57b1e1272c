import { expect, test } from "bun:test";
import { Certificates, selfSigned } from "#agents/ingress/certificates.ts";
import type { ObjectSource } from "#agents/volumes/volumes.ts";
import { realClock } from "#base/clock.ts";
import { createLog } from "#base/log.ts";
import { realRandom } from "#base/random.ts";

const good = () => {
  const { cert, key } = selfSigned(realClock, realRandom);
  return new Map([
    ["tls.crt", Buffer.from(cert)],
    ["tls.key", Buffer.from(key)],
  ]);
};

/** Secrets by name, and who watches them. */
class Secrets implements ObjectSource {
  readonly data = new Map<string, Map<string, Buffer>>();
  readonly watched = new Map<string, () => void>();
  get(_kind: string, namespace: string, name: string) {
    return Promise.resolve(this.data.get(`${namespace}/${name}`));
  }
  watch(_kind: string, namespace: string, name: string, changed: () => void) {
    this.watched.set(`${namespace}/${name}`, changed);
    return () => this.watched.delete(`${namespace}/${name}`);
  }
  async put(key: string, data: Map<string, Buffer> | undefined) {
    if (data === undefined) this.data.delete(key);
    else this.data.set(key, data);
    this.watched.get(key)?.();
    await Promise.resolve();
    await Promise.resolve();
  }
}

function setUp() {
  const lines: string[] = [];
  const write = (line: string) => lines.push(line);
  const log = createLog({ level: "warn", format: "text", now: () => 0, write });
  const secrets = new Secrets();
  return { lines, secrets, certificates: new Certificates(secrets, log) };
}

const names = (all: Record<string, string>) => ({ certificates: new Map(Object.entries(all)) });

test("the host itself, its wildcard, what is for everybody, in this order", async () => {
  const { secrets, certificates } = setUp();
  for (const name of ["own", "wild", "all"]) secrets.data.set(`a/${name}`, good());
  await certificates.follow(names({ "x.test.io": "a/own", "*.test.io": "a/wild", "": "a/all" }));
  const [own, wild, all] = ["x.test.io", "y.test.io", "z.y.test.io"].map((name) =>
    certificates.contextOf(name),
  );
  expect(new Set([own, wild, all]).size).toBe(3);
  expect(certificates.contextOf("X.TEST.IO")).toBe(own);
  expect(certificates.contextOf("")).toBe(all);
});

test("a changed Secret counts, a broken one does not, a deleted one takes it away", async () => {
  const { lines, secrets, certificates } = setUp();
  secrets.data.set("a/s", good());
  await certificates.follow(names({ "x.test": "a/s" }));
  const first = certificates.contextOf("x.test");
  expect(first).toBeDefined();
  await secrets.put("a/s", good());
  const second = certificates.contextOf("x.test");
  expect(second).toBeDefined();
  expect(second).not.toBe(first);
  const onlyOne = new Map([...good()].slice(0, 1));
  await secrets.put("a/s", onlyOne);
  await secrets.put("a/s", onlyOne);
  expect(certificates.contextOf("x.test")).toBe(second);
  expect(lines).toHaveLength(1);
  await secrets.put("a/s", undefined);
  expect(certificates.contextOf("x.test")).toBeUndefined();
  expect(lines).toHaveLength(2);
});

test("a key of another certificate is refused", async () => {
  const { lines, secrets, certificates } = setUp();
  const mixed = new Map([...good()]);
  mixed.set("tls.key", good().get("tls.key") ?? Buffer.alloc(0));
  secrets.data.set("a/s", mixed);
  await certificates.follow(names({ "x.test": "a/s" }));
  expect(certificates.contextOf("x.test")).toBeUndefined();
  expect(lines.join()).toContain("secret=a/s");
});

test("nobody watches what no Ingress names", async () => {
  const { secrets, certificates } = setUp();
  await certificates.follow(names({ a: "a/s", b: "a/t" }));
  expect([...secrets.watched.keys()]).toEqual(["a/s", "a/t"]);
  await certificates.follow(names({ b: "a/t" }));
  expect([...secrets.watched.keys()]).toEqual(["a/t"]);
  certificates.stop();
  expect(secrets.watched.size).toBe(0);
});
