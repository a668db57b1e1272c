import { describe, expect, test } from "bun:test";
import { realRandom } from "#base/random.ts";
import { ValueSealer } from "#base/sealer.ts";

const key = (id: string) => ({ id, key: Buffer.alloc(32, id) });
const NAME = "core/secrets/default/a";
const VALUE = '{"data":{"password":"aHVudGVyMg=="}} \u00e9\u{1f980}';

describe("a sealed value", () => {
  const sealer = new ValueSealer([key("00000001")], realRandom, "core/secrets/");
  const sealed = sealer.seal(NAME, VALUE);

  test("opens to what it was, and shows none of it", () => {
    expect(sealed).not.toContain("hunter2");
    expect(sealed).not.toContain("aHVudGVyMg");
    expect(sealer.isSealed(sealed)).toBe(true);
    expect(sealer.open(NAME, sealed)).toBe(VALUE);
    expect(sealer.seal(NAME, VALUE)).not.toBe(sealed);
  });

  test("opens with older keys too, but is current for the newest only", () => {
    const later = new ValueSealer([key("00000002"), key("00000001")], realRandom, "core/secrets/");
    expect(later.open(NAME, sealed)).toBe(VALUE);
    expect([sealer.isCurrent(sealed), later.isCurrent(sealed)]).toEqual([true, false]);
  });

  test("opens under no other name, key or with another byte", () => {
    const other = new ValueSealer([{ id: "00000001", key: Buffer.alloc(32, "x") }], realRandom, "");
    const none = new ValueSealer([key("00000003")], realRandom, "");
    const bent = sealed.slice(0, -8) + (sealed.at(-8) === "A" ? "B" : "A") + sealed.slice(-7);
    expect(() => sealer.open("core/secrets/default/b", sealed)).toThrow("does not fit");
    expect(() => other.open(NAME, sealed)).toThrow("does not fit");
    expect(() => none.open(NAME, sealed)).toThrow("key 00000001 is not in the key file");
    expect(() => sealer.open(NAME, bent)).toThrow("does not fit");
  });

  test("is only of the names that are covered", () => {
    expect(sealer.covers("core/secrets/kube-system/t")).toBe(true);
    expect(sealer.covers("core/configmaps/default/a")).toBe(false);
    expect(new ValueSealer([], realRandom, undefined).covers(NAME)).toBe(false);
  });
});
