import { expect, test } from "bun:test";
import { createNftablesWriter, tableAddress } from "#agents/network/nftables.ts";
import type { NftTable } from "#agents/network/tables.ts";
import { silentLog } from "#base/log.ts";

const table = (verdict: string): NftTable => ({
  sets: [{ name: "m", type: "typeof a : b", elements: new Map([["k", verdict]]) }],
  chains: [{ name: "c", rules: ["reject"] }],
});

/** nft as far as the writer uses it: what it was told, and what it shows. */
function setUp() {
  const told: string[] = [];
  const kernel = { shows: undefined as string | undefined, refusals: 0 };
  const writer = createNftablesWriter({
    run: async (argv, options) => {
      if (argv.includes("-t")) {
        const terse = kernel.shows?.replace(/\n\t\t(elements|reject).*/g, "") ?? "";
        return { exitCode: 0, stdout: terse, stderr: "" };
      }
      if (argv.includes("list")) {
        const missing = { exitCode: 1, stdout: "", stderr: "Error: No such file or directory" };
        return kernel.shows === undefined
          ? missing
          : { exitCode: 0, stdout: kernel.shows, stderr: "" };
      }
      if (kernel.refusals > 0) {
        kernel.refusals--;
        return { exitCode: 1, stdout: "", stderr: "Error: Could not process rule" };
      }
      told.push(String(options?.stdin));
      return { exitCode: 0, stdout: "", stderr: "" };
    },
    instance: "x",
    family: "IPv6",
    log: silentLog,
  });
  return { writer, told, kernel };
}

const SHOWN = [
  "table ip6 bramble-x {",
  "\tmap m {",
  "\t\ttypeof a : b",
  "\t\telements = { k : drop }",
  "\t}",
  "\tchain c {",
  "\t\treject",
  "\t}",
  "}",
].join("\n");

test("tables carry the instance", () => {
  expect(tableAddress({ instance: "", family: "IPv4" })).toBe("ip bramble");
  expect(tableAddress({ instance: "x", family: "IPv6" })).toBe("ip6 bramble-x");
});

test("a table of an earlier process is changed, not made anew: its clients stay", async () => {
  const { writer, told, kernel } = setUp();
  kernel.shows = SHOWN;
  await writer.apply(table("goto c"));
  expect(told[0]?.split("\n")).toEqual([
    "flush map ip6 bramble-x m",
    "flush chain ip6 bramble-x c",
    "add rule ip6 bramble-x c reject",
    "add element ip6 bramble-x m { k : goto c }",
    "",
  ]);
  await writer.apply(table("goto c"));
  expect(told).toHaveLength(1);
});

test("a refused change replaces the whole at once; a second refusal is told", async () => {
  const { writer, told, kernel } = setUp();
  kernel.refusals = 1;
  await writer.apply(table("drop"));
  expect(told[0]).toStartWith("add table ip6 bramble-x\ndelete table ip6 bramble-x\nadd table");
  kernel.refusals = 2;
  expect(writer.apply(table("goto c"))).rejects.toThrow("Could not process rule");
  await writer.apply(table("goto c"));
  expect(told[1]).toContain("k : goto c");
});

test("what someone else changed is mended: elements, rules, the whole table", async () => {
  const { writer, told, kernel } = setUp();
  await writer.apply(table("drop"));
  kernel.shows = SHOWN.replace("\t\treject\n", "");
  await writer.verify();
  expect(told[1]).toBe("flush chain ip6 bramble-x c\nadd rule ip6 bramble-x c reject\n");
  kernel.shows = SHOWN.replace("\t\telements = { k : drop }\n", "");
  await writer.verify();
  expect(told[2]).toBe("add element ip6 bramble-x m { k : drop }\n");
  kernel.shows = undefined;
  await writer.verify();
  expect(told[3]).toStartWith("add table ip6 bramble-x\nadd map");
});

/** As nft prints the table with an empty chain at its end. */
const marked = (mark: string): string =>
  SHOWN.replace(/\n\}$/, `\n\n\tchain ${mark} {\n\t}\n}`).replace("drop", "goto c");

test("a table that was found well is marked, and an unmarked one is written anew", async () => {
  const first = setUp();
  await first.writer.apply(table("goto c"));
  first.kernel.shows = SHOWN.replace("drop", "goto c");
  await first.writer.verify();
  const [, mark = ""] = /^add chain ip6 bramble-x (whole-\w+)\n$/.exec(first.told[1] ?? "") ?? [];
  first.kernel.shows = marked(mark);
  await first.writer.verify();
  expect(first.told).toHaveLength(2);

  const again = setUp();
  again.kernel.shows = marked(mark);
  await again.writer.apply(table("goto c"));
  expect(again.told).toEqual([]);
  // The mark goes with the first change.
  await again.writer.apply(table("drop"));
  expect(again.told).toEqual([
    "delete element ip6 bramble-x m { k }\nadd element ip6 bramble-x m { k : drop }\n" +
      `delete chain ip6 bramble-x ${mark}\n`,
  ]);
  const other = setUp();
  other.kernel.shows = marked(mark);
  await other.writer.apply(table("drop"));
  expect(other.told[0]).toStartWith("flush map");
  expect(other.told[0]).toEndWith(`delete chain ip6 bramble-x ${mark}\n`);
});

test("a mark does not hide what someone changes under it", async () => {
  const { writer, told, kernel } = setUp();
  kernel.shows = SHOWN.replace("drop", "goto c");
  await writer.apply(table("goto c"));
  await writer.verify();
  const [, mark = ""] = /(whole-\w+)/.exec(told.at(-1) ?? "") ?? [];
  kernel.shows = marked(mark).replace("\t\telements = { k : goto c }\n", "");
  await writer.verify();
  expect(told.at(-1)).toBe(
    `add element ip6 bramble-x m { k : goto c }\ndelete chain ip6 bramble-x ${mark}\n`,
  );
  kernel.shows = undefined;
  await writer.verify();
  expect(told.at(-1)).not.toContain("delete chain");
});
