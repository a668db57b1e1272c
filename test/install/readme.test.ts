/**
 * "From a fresh SD card to three nodes", word for word: the commands are read from the README and
 * run on three Debians with systemd and nothing else, without a network but their own.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually, mustRun } from "#test/support/instance.ts";
import { type Machine, type Site, startSite } from "#test/support/nspawn.ts";
import { mustHaveNspawn } from "./machine.ts";

const ROOT = join(import.meta.dir, "../..");
const HEADING = "## From a fresh SD card to three nodes";
const BUNDLE_MS_MAX = 120_000;

let site: Site;
let dir: string;

beforeAll(async () => {
  mustHaveNspawn();
  dir = mkdtempSync(join(tmpdir(), "bramble-readme-"));
  site = await startSite(["first", "second", "third"]);
}, 300_000);

afterAll(async () => {
  await site?.close();
  rmSync(dir, { recursive: true, force: true });
}, 120_000);

/** The section's blocks of commands, without what is said beside them. */
function blocks(): string[] {
  const text = readFileSync(join(ROOT, "README.md"), "utf8");
  const section = text.split(`${HEADING}\n`)[1]?.split("\n## ")[0] ?? "";
  return section
    .split("\n\n")
    .filter((part) => part.startsWith("    "))
    .map((part) => part.replaceAll(/ {2,}# .*$/gm, "").replaceAll(/^ {4}/gm, ""));
}

const ready = (nodes: string): number => nodes.match(/\sReady\s/g)?.length ?? 0;

test("the README leads three fresh machines to a page that all of them serve", async () => {
  const [make, onFirst, onOthers, deploy, ask] = blocks() as [
    string,
    string,
    string,
    string,
    string,
  ];
  const [first, ...others] = site.machines as [Machine, ...Machine[]];
  // In a folder of its own, as another run may make the same files.
  const made = make
    .replaceAll("web.tar", join(dir, "web.tar"))
    .replace("bundle.sh", `bundle.sh --out ${join(dir, "bramble-bundle.tar.gz")}`);
  await mustRun(["bash", "-ec", `cd ${ROOT}\n${made}`], { timeoutMs: BUNDLE_MS_MAX });
  const archive = join(dir, "bramble-bundle.tar.gz");
  for (const { disk } of site.machines) await mustRun(["cp", archive, join(disk, "root")]);

  const said = await first.must(`set -e; cd /root\n${onFirst}`);
  const token = /^br1\.\S+$/m.exec(said)?.[0] ?? "";
  expect(token).not.toBe("");
  for (const machine of others) {
    await machine.must(`set -e; cd /root\n${onOthers.replace("br1.…", token)}`);
  }
  await eventually("three nodes are ready", 30_000, async () => {
    return ready(await first.must("bramble get nodes -o wide")) === 3;
  });

  const sed = /`(sed \S+)`/.exec(readFileSync(join(ROOT, "README.md"), "utf8"))?.[1] ?? "";
  const manifest = await mustRun(["sh", "-c", `${sed} ${join(ROOT, "install/demo.yaml")}`]);
  await Bun.write(join(first.disk, "root/web.yaml"), manifest);
  const shown = await first.must(`set -e; cd /root\n${deploy}`);
  expect(ready(shown)).toBe(3);
  expect(shown.match(/web-\S+\s+1\/1\s+Running/g)).toHaveLength(3);

  const answers = new Set<string>();
  await eventually("each pod has answered by each machine's address", 30_000, async () => {
    for (const { address } of site.machines) {
      answers.add(await site.onLan(["sh", "-c", ask.replace(/192\.168\.91\.\d+/, address)]));
    }
    return answers.size === 3;
  });
  for (const answer of answers) expect(answer).toMatch(/^hello from web-/);
}, 400_000);
