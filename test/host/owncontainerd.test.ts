/** What bramble writes for a containerd of its own, read by the containerd that is installed. */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mustRun } from "#test/support/instance.ts";
import { tempDir } from "#test/support/store.ts";
import { containerdConfig } from "../../src/main/local/programs.ts";

const DEMO = join(import.meta.dir, "../../install/demo.sh");

test("containerd syncs each layer from 2.0 on, and older ones take the file", async () => {
  const dir = tempDir();
  try {
    const file = join(dir.path, "config.toml");
    writeFileSync(file, containerdConfig(dir.path));
    const version = await mustRun(["containerd", "--version"]);
    const read = await mustRun(["containerd", "--config", file, "config", "dump"]);
    expect(read).toMatch(new RegExp(`^root = ['"]${dir.path}/root['"]$`, "m"));
    const sections = read.split(/^ *\[(?=plugins)/m);
    const own = sections.find((section) => section.includes("v1.diff-service"));
    expect(own).toContain("walking");
    expect(own?.includes("sync_fs = true")).toBe(!/ v?1\.\d+\.\d+/.test(version));
  } finally {
    dir.remove();
  }
});

test("the demonstration writes the same", () => {
  const [, written] = /<<EOF\n(version = 2\n[\s\S]*?)EOF\n/.exec(readFileSync(DEMO, "utf8")) ?? [];
  expect(written?.replace("$socket", "$own/containerd.sock")).toBe(containerdConfig("$own"));
});
