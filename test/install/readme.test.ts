/**
 * "From a fresh SD card to three nodes", word for word: the commands are read from the README and
 * run on three Debians with systemd and SSH and nothing else, without a network but their own.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually, mustRun } from "#test/support/instance.ts";
import { type Machine, type Site, startSite } from "#test/support/nspawn.ts";
import pkg from "../../package.json";
import { mustHaveNspawn } from "./machine.ts";

const ROOT = join(import.meta.dir, "../..");
const HEADING = "## From a fresh SD card to three nodes";
const BUNDLE_MS_MAX = 120_000;
/** What the section's blocks are, in their order. */
type Tuple = [boot: string, tools: string, make: string, copy: string, ...rest: Rest];
type Rest = [onFirst: string, onOthers: string, deploy: string, ask: string];

let site: Site;
let dir: string;

beforeAll(async () => {
  mustHaveNspawn();
  dir = mkdtempSync(join(tmpdir(), "bramble-readme-"));
  site = await startSite(["first", "second", "third"], { packages: ["openssh-server"] });
}, 500_000);

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

const CMDLINE = "/boot/firmware/cmdline.txt";
/** As a Raspberry Pi has it. */
const AS_DELIVERED = "console=tty1 root=PARTUUID=1-02 rootfstype=ext4 rootwait";

/** A user with SSH, and a Pi's boot partition, as its imager writes them. */
async function write(machine: Machine, key: string): Promise<void> {
  await machine.must(`useradd --create-home --shell /bin/bash pi
    install -d -m 700 -o pi /home/pi/.ssh && echo '${key.trim()}' >/home/pi/.ssh/authorized_keys
    mkdir -p /boot/firmware && echo '${AS_DELIVERED}' >${CMDLINE}`);
}

/** The words of the README, in a folder with what was made; a key stands for a password. */
const onLan = (script: string) =>
  site.onLan(["bash", "-ec", `cd ${dir}\nscp() { command scp -q -F ${dir}/ssh "$@"; }\n${script}`]);

test("what makes the bundle comes from Debian and npm, at the version it is made for", async () => {
  const [, tools = ""] = blocks();
  const bun = `bun@${pkg.devDependencies["@types/bun"]}`;
  expect(tools).toContain(`npm install --global ${bun}`);
  // Only looked at: this machine's programs are its owner's.
  const packages = /^apt-get install -y (.+)$/m.exec(tools)?.[1]?.split(" ") ?? [];
  expect(packages.length).toBeGreaterThan(0);
  for (const name of packages) {
    expect(await mustRun(["apt-cache", "policy", name])).toMatch(/Candidate: \d/);
  }
  const tried = ["npm", "install", "--global", "--dry-run", bun];
  await mustRun(tried, { timeoutMs: BUNDLE_MS_MAX });
});

test("the README leads three fresh machines to a page that all of them serve", async () => {
  const [boot, , make, copy, onFirst, onOthers, deploy, ask] = blocks() as Tuple;
  const [first, ...others] = site.machines as [Machine, ...Machine[]];
  await mustRun(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", join(dir, "key")]);
  const options = ["IdentityFile", join(dir, "key"), "StrictHostKeyChecking", "accept-new"];
  const known = ["UserKnownHostsFile", join(dir, "known"), "IdentitiesOnly", "yes"];
  await Bun.write(
    join(dir, "ssh"),
    `${[...options, ...known].join(" ").replaceAll(/ ([A-Z])/g, "\n$1")}\n`,
  );
  const key = await Bun.file(join(dir, "key.pub")).text();
  for (const machine of site.machines) await write(machine, key);

  for (const machine of site.machines) {
    expect(boot).toEndWith("\nreboot");
    await machine.must(`set -e\n${boot.replace(/\nreboot$/, "")}`);
    const words = `${AS_DELIVERED} cgroup_enable=memory cgroup_memory=1\n`;
    expect(await machine.must(`cat ${CMDLINE}`)).toBe(words);
    await machine.off();
    await machine.boot();
  }

  // In a folder of its own, as another run may make the same files.
  const made = make
    .replaceAll("web.tar", join(dir, "web.tar"))
    .replace(
      "bundle.sh",
      `bundle.sh --out ${join(dir, `dist/bramble-${pkg.version}-amd64.tar.gz`)}`,
    );
  await mustRun(["bash", "-ec", `cd ${ROOT}\n${made}`], { timeoutMs: BUNDLE_MS_MAX });
  await mustRun(["ln", "-s", join(ROOT, "install"), join(dir, "install")]);
  await onLan(copy);

  const said = await first.must(`set -e; cd /home/pi\n${onFirst}`);
  const token = /^br1\.\S+$/m.exec(said)?.[0] ?? "";
  expect(token).not.toBe("");
  for (const machine of others) {
    await machine.must(`set -e; cd /home/pi\n${onOthers.replace("br1.…", token)}`);
  }
  await eventually("three nodes are ready", 30_000, async () => {
    return ready(await first.must("bramble get nodes -o wide")) === 3;
  });

  const shown = await first.must(`set -e; cd /home/pi\n${deploy}`);
  expect(ready(shown)).toBe(3);
  expect(shown.match(/web-\S+\s+1\/1\s+Running/g)).toHaveLength(3);

  const answers = new Set<string>();
  await eventually("each pod has answered by each machine's address", 30_000, async () => {
    for (const { address } of site.machines) {
      answers.add(await onLan(ask.replace(/192\.168\.91\.\d+/, address)));
    }
    return answers.size === 3;
  });
  for (const answer of answers) expect(answer).toMatch(/^hello from web-/);
}, 400_000);
