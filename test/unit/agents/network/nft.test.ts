import { expect, test } from "bun:test";
import { emptyState, readTable, renderTable, stateOf } from "#agents/network/nft.ts";
import type { NftTable } from "#agents/network/tables.ts";

const table = (elements: Record<string, string>, chains: Record<string, string[]>): NftTable => ({
  sets: [{ name: "m", type: "typeof a : b", elements: new Map(Object.entries(elements)) }],
  chains: Object.entries(chains).map(([name, rules]) => ({ name, rules })),
});

const render = (wanted: NftTable, state = emptyState()): string =>
  [...renderTable("ip t", wanted, state)].join("");

test("what is there already takes no transaction", () => {
  const one = table({ k: "goto c" }, { c: ["reject"] });
  expect(render(one, stateOf(one, emptyState()))).toBe("");
});

test("a chain is there before an element leads to it, and goes after the last one left", () => {
  const one = table({ k: "goto old" }, { old: ["reject"] });
  const two = table({ k: "goto new", l: "goto new" }, { new: ["return"] });
  expect(render(two, stateOf(one, emptyState()))).toBe(
    [
      "add chain ip t new",
      "delete element ip t m { k }",
      "add rule ip t new return",
      "add element ip t m { k : goto new, l : goto new }",
      "flush chain ip t old",
      "delete chain ip t old",
      "",
    ].join("\n"),
  );
});

test("only chains whose rules changed are written anew", () => {
  const one = table({}, { a: ["return"], b: ["return"] });
  const two = table({}, { a: ["return"], b: ["reject", "return"] });
  expect(render(two, stateOf(one, emptyState()))).toBe(
    "flush chain ip t b\nadd rule ip t b reject\nadd rule ip t b return\n",
  );
});

test("nft's text is read back: elements over lines, the kernel's own clients, rules", () => {
  const text = [
    "table ip other {",
    "\tchain foreign {",
    "\t}",
    "}",
    "table ip t {",
    "\tmap m {",
    "\t\ttypeof ip daddr . tcp dport : verdict",
    "\t\telements = { 10.43.0.7 . 80 : goto c,",
    "\t\t\t     10.43.0.8 . 80 : drop }",
    "\t}",
    "\tset clients {",
    "\t\ttypeof ip saddr",
    "\t\tflags dynamic,timeout",
    "\t\telements = { 10.0.0.1 expires 3s }",
    "\t}",
    "\tset empty {",
    "\t\ttypeof ip saddr",
    "\t}",
    "\tchain c {",
    "\t\ttype nat hook output priority -105; policy accept;",
    "\t\tnumgen random mod 2 vmap { 0 : goto a, 1 : goto b }",
    "\t\treject",
    "\t}",
    "}",
  ].join("\n");
  const { sets, chains } = readTable(text, "ip t");
  expect([...(sets.get("m")?.elements ?? [])]).toEqual([
    ["10.43.0.7 . 80", "goto c"],
    ["10.43.0.8 . 80", "drop"],
  ]);
  expect([...sets.keys()]).toEqual(["m", "clients", "empty"]);
  expect(sets.get("m")?.map).toBe(true);
  expect([...chains.keys()]).toEqual(["c"]);
  expect(chains.get("c")?.count).toBe(2);
});

test("what is there without being looked at is filled anew, but for what the kernel fills", () => {
  const wanted: NftTable = {
    sets: [
      { name: "m", type: "typeof a : b", elements: new Map([["k", "goto c"]]) },
      { name: "s", type: "typeof a", elements: new Map() },
      { name: "clients", type: "typeof a", flags: "dynamic,timeout", elements: new Map() },
    ],
    chains: [{ name: "c", rules: ["reject"] }],
  };
  const unread = (map: boolean) => ({ map, elements: undefined });
  const state = {
    sets: new Map([
      ["m", unread(true)],
      ["s", unread(false)],
      ["clients", unread(false)],
      ["old", unread(true)],
    ]),
    chains: new Map([["c", { rules: undefined, count: 0, print: "" }]]),
  };
  expect(render(wanted, state).trim().split("\n")).toEqual([
    "flush map ip t m",
    "flush set ip t s",
    "flush chain ip t c",
    "add rule ip t c reject",
    "add element ip t m { k : goto c }",
    "delete map ip t old",
  ]);
});
