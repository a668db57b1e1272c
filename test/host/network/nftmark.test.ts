/** A real nft table that an earlier process left: taken as it is where it is whole, else mended. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createNftablesWriter } from "#agents/network/nftables.ts";
import type { NftTable } from "#agents/network/tables.ts";
import { silentLog } from "#base/log.ts";
import type { Run } from "#base/process.ts";
import { must, openSite, type Site, type SiteNode } from "#test/host/network/site.ts";

let site: Site;
let node: SiteNode;

beforeAll(async () => {
  site = await openSite(1);
  [node] = site.nodes as [SiteNode];
});

afterAll(() => site?.close());

const table = (backend: string): NftTable => ({
  sets: [
    {
      name: "fronts",
      type: "typeof ip daddr . th dport : verdict",
      elements: new Map([["10.43.0.1 . 80", "goto pick"]]),
    },
    {
      name: "backends",
      type: "typeof ip daddr : ip daddr",
      elements: new Map([["10.43.0.1", backend]]),
    },
  ],
  chains: [
    { name: "pick", rules: ["dnat to ip daddr map @backends"] },
    {
      name: "out",
      hook: "type nat hook output priority -105",
      rules: ["meta l4proto tcp ip daddr . th dport vmap @fronts"],
    },
  ],
});

/** A writer of a process of its own, and the transactions that it sent. */
function newWriter() {
  const sent: string[] = [];
  const run: Run = (argv, options) => {
    const text = String(options?.stdin ?? "");
    if (!text.startsWith("list")) sent.push(text);
    return node.run(argv, options);
  };
  const shared = { run, instance: "mark", log: silentLog } as const;
  return { writer: createNftablesWriter({ ...shared, family: "IPv4" }), sent };
}

const elements = () => must(node.run, ["nft", "list", "map", "ip", "bramble-mark", "backends"]);

test("a whole table is taken as it is; what is changed under its mark is mended", async () => {
  const first = newWriter();
  await first.writer.apply(table("10.42.0.7"));
  const unseen = newWriter();
  await unseen.writer.apply(table("10.42.0.7"));
  // Nobody had looked whether it was whole.
  expect(unseen.sent.join("")).toContain("add element");
  await unseen.writer.verify();

  const again = newWriter();
  await again.writer.apply(table("10.42.0.7"));
  expect(again.sent).toEqual([]);
  await must(node.run, ["nft", "flush", "map", "ip", "bramble-mark", "backends"]);
  await again.writer.verify();
  expect(await elements()).toContain("10.42.0.7");

  // The mark went with the mending, and comes back with the next look.
  await again.writer.verify();
  const last = newWriter();
  await last.writer.apply(table("10.42.0.8"));
  expect(await elements()).toContain("10.42.0.8");
  const same = newWriter();
  await same.writer.apply(table("10.42.0.8"));
  expect(same.sent).not.toEqual([]);
  await must(node.run, ["nft", "delete", "table", "ip", "bramble-mark"]);
  await same.writer.verify();
  expect(await elements()).toContain("10.42.0.8");
  await same.writer.clear();
});
