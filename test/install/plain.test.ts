/**
 * A Debian without systemd and without any of our packages: `bramble doctor --fix` mends what it
 * lacks by apt, offline; the init script keeps bramble running; uninstalled, all is as before.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, mustRun } from "#test/support/instance.ts";
import { type Machine, type Site, startSite } from "#test/support/nspawn.ts";
import { type Bundle, differences, makeBundle, mustHaveNspawn, stateOf } from "./machine.ts";

const ROOT = join(import.meta.dir, "../..");
const STEP_MS_MAX = 120_000;
/** As root by plain `su` has it: without the administrator's programs. */
const SU = "export PATH=/usr/local/bin:/usr/bin:/bin:/usr/games;";
const DOCTOR = `${SU} /root/bundle/bramble doctor`;
const CMDLINE = "/boot/firmware/cmdline.txt";
const AS_DELIVERED = "console=tty1 root=PARTUUID=1-02 cgroup_disable=memory rootwait\n";

let site: Site;
let bundle: Bundle;
let machine: Machine;

beforeAll(async () => {
  mustHaveNspawn();
  bundle = await makeBundle();
  site = await startSite(["plain"], { plain: true });
  machine = site.machines[0] as Machine;
  await bundle.unpack(machine);
}, 300_000);

afterAll(async () => {
  await site?.close();
  bundle?.close();
}, STEP_MS_MAX);

/** The bundle's packages, as a source that the machine's apt can use without a network. */
async function offerPackages(): Promise<void> {
  const debs = join(machine.disk, "root/bundle/debs");
  const entries = await Promise.all(
    readdirSync(debs).map(async (name) => {
      const file = Bun.file(join(debs, name));
      const control = (await mustRun(["dpkg-deb", "--field", join(debs, name)])).trimEnd();
      const hash = new Bun.CryptoHasher("sha256").update(await file.bytes()).digest("hex");
      return `${control}\nFilename: ./${name}\nSize: ${file.size}\nSHA256: ${hash}\n`;
    }),
  );
  const index = join(machine.disk, "root/bundle/Packages");
  writeFileSync(index, entries.join("\n"));
  await machine.must(`mkdir /opt/debs && cp /root/bundle/debs/* /root/bundle/Packages /opt/debs/
    chmod -R a+rX /opt/debs && rm -r /var/lib/apt/lists/* /root/bundle/Packages
    echo 'deb [trusted=yes] file:/opt/debs ./' >/etc/apt/sources.list`);
}

test(
  "the doctor says what a fresh machine lacks, and --fix brings it",
  async () => {
    const found = await machine.exec(`${DOCTOR} --quiet`);
    expect(found.exitCode).toBe(1);
    expect(found.stdout).toContain("FAIL  containerd: missing\n");
    expect(found.stdout).toContain(
      "        apt-get update\n        apt-get install -y containerd runc\n",
    );
    await offerPackages();
    const fixed = await machine.exec(`${DOCTOR} --fix --quiet --cni-bin-dir /root/bundle/cni \
      --nerdctl /root/bundle/nerdctl`);
    expect(fixed.stdout).toContain("containerd: mended\n");
    expect(fixed.stdout).toContain("conntrack: mended\n");
    expect(await machine.must("command -v containerd runc conntrack | wc -l")).toBe("3\n");
    await machine.must(`rm -r /opt/debs /var/lib/apt/lists/*
      : >/etc/apt/sources.list && : >/var/log/dpkg.log`);
  },
  STEP_MS_MAX,
);

const service = (word: string) => machine.must(`/etc/init.d/bramble ${word}`);
const shims = async (): Promise<string[]> =>
  (await machine.must("pgrep -x containerd-shim | sort || true")).split("\n").filter(Boolean);
const pidOf = () => machine.must("pgrep -f '^/usr/local/bin/bramble server'");

async function served(count: number): Promise<void> {
  await eventually(`${count} pods are ready`, 30_000, async () => {
    const { stdout } = await machine.exec("bramble get pods --no-headers");
    return stdout.match(/1\/1\s+Running/g)?.length === count;
  });
}

let before: string[];

test(
  "the init script starts bramble, keeps it running and leaves its pods alone",
  async () => {
    await machine.must(`mkdir -p /boot/firmware && printf '${AS_DELIVERED.trim()}\\n' >${CMDLINE}`);
    before = await stateOf(machine);
    await machine.must(`${SU} /root/bundle/install.sh --server`);
    await machine.must("bramble apply -f /root/web.yaml");
    await served(3);
    expect(await service("status")).toBe("bramble runs\n");
    const running = await shims();
    expect(running.length).toBeGreaterThanOrEqual(3);
    const pid = await pidOf();
    await machine.must(`kill -KILL ${pid}`);
    await eventually("another process serves", 20_000, async () => {
      const { exitCode } = await machine.exec("bramble get nodes");
      return exitCode === 0 && (await pidOf()) !== pid;
    });
    await service("restart");
    await served(3);
    await service("stop");
    expect((await machine.exec("/etc/init.d/bramble status")).exitCode).toBe(3);
    expect((await machine.exec("pgrep -f '^/usr/local/bin/bramble'")).exitCode).toBe(1);
    expect(await shims()).toEqual(running);
    await service("start");
    await served(3);
    expect(await machine.must("/root/bundle/install.sh")).not.toContain("==>");
  },
  STEP_MS_MAX,
);

/** Says a version and ends at once where it should serve. */
const FAKE = `#!/bin/sh
[ "$1" = version ] && { echo '{"clientVersion":{"gitVersion":"v0.2.1"}}'; exit; }
exit 3
`;

test(
  "without systemd, too, another version takes its place, or is taken back",
  async () => {
    const next = join(machine.disk, "root/next");
    const build = ["bun", "tools/build.ts", next];
    await mustRun(["env", "--chdir", ROOT, "BRAMBLE_BUILD_VERSION=0.2.0", ...build]);
    const running = await shims();
    const pid = await pidOf();
    const said = await machine.must("/root/next upgrade");
    expect(said).toEndWith("this server runs 0.2.0\n");
    expect(await machine.must("bramble version")).toContain("+bramble-0.2.0");
    expect(await pidOf()).not.toBe(pid);
    await Bun.write(join(machine.disk, "root/fake"), FAKE);
    const broken = await machine.exec("chmod +x /root/fake && bramble upgrade /root/fake");
    expect(broken.exitCode).toBe(1);
    expect(broken.stderr).toMatch(/^bramble: 0\.2\.1 did not come up: .*; 0\.2\.0 runs again$/m);
    expect(await machine.must("bramble version")).toContain("+bramble-0.2.0");
    expect(await service("status")).toBe("bramble runs\n");
    await served(3);
    expect(await shims()).toEqual(running);
  },
  STEP_MS_MAX,
);

test(
  "as the machine goes down its pods end, and after a power cut they are there again",
  async () => {
    await machine.must("RUNLEVEL=0 /etc/init.d/bramble stop");
    expect(await machine.exec("pgrep -f /bin/serve")).toMatchObject({ exitCode: 1, stdout: "" });
    await service("start");
    await served(3);
    await machine.cut();
    await machine.boot();
    await service("start");
    await served(3);
  },
  STEP_MS_MAX,
);

test(
  "a Pi's command line is mended, and uninstalled the machine is as before",
  async () => {
    // What a kernel without the memory controller says, and a Pi's file that asks for nothing.
    await machine.must(`sed '/^memory/s/1$/0/' /proc/cgroups >/root/cgroups
      mount --bind /root/cgroups /proc/cgroups`);
    const fixed = await machine.exec("bramble doctor --fix --config /etc/bramble/config.yaml");
    expect(fixed.stdout).toContain("memory control group: mended\n");
    expect(fixed.stdout).toContain("restart the machine");
    const words = "console=tty1 root=PARTUUID=1-02 rootwait cgroup_enable=memory cgroup_memory=1\n";
    expect(await machine.must(`cat ${CMDLINE}`)).toBe(words);
    const again = await machine.exec("bramble doctor --fix --config /etc/bramble/config.yaml");
    expect(again.stdout).toContain("asks for it: restart the machine");
    expect(await machine.must(`cat ${CMDLINE}`)).toBe(words);
    await machine.must("umount /proc/cgroups && rm /root/cgroups");
    await machine.must(`${SU} /usr/local/lib/bramble/uninstall.sh`);
    // The doctor brought containerd before anything was installed; its folders came later.
    await machine.must("rm -rf /var/lib/containerd /opt/containerd");
    expect(differences(before, await stateOf(machine))).toEqual([]);
    expect(await machine.must(`cat ${CMDLINE}`)).toBe(AS_DELIVERED);
  },
  STEP_MS_MAX,
);

test(
  "packages that no bundle has come by apt, and go again",
  async () => {
    await machine.must(`dpkg --purge containerd runc conntrack kmod
      rm -rf /var/lib/containerd /etc/containerd`);
    await offerPackages();
    await machine.must("mv /root/bundle/debs /root/debs && rm /root/bundle/SHA256SUMS");
    const bare = await stateOf(machine);
    const dry = await machine.must("/root/bundle/install.sh --agent --dry-run");
    expect(dry).toMatch(/^would install the packages containerd runc .*conntrack/m);
    expect(differences(bare, await stateOf(machine))).toEqual([]);
    const said = await machine.must("/root/bundle/install.sh --agent --no-start");
    expect(said).toMatch(/^==> install the packages containerd runc .*conntrack/m);
    expect(await machine.must("command -v containerd runc conntrack | wc -l")).toBe("3\n");
    const notes = await machine.must("grep '^package ' /etc/bramble/installed");
    for (const name of ["containerd", "runc", "conntrack"]) {
      expect(notes.split("\n")).toContain(`package ${name}`);
    }
    await machine.must("/usr/local/lib/bramble/uninstall.sh");
    expect(differences(bare, await stateOf(machine))).toEqual([]);
    expect(await machine.must("command -v containerd || echo none")).toBe("none\n");
    // Without them and without apt's lists it says which are missing, and leaves nothing.
    await machine.must("rm -r /opt/debs /var/lib/apt/lists/* && : >/etc/apt/sources.list");
    const failed = await machine.exec("/root/bundle/install.sh --agent --no-start");
    expect(failed.exitCode).toBe(1);
    expect(failed.stderr).toMatch(/^install\.sh: apt-get install containerd runc .*:/m);
  },
  STEP_MS_MAX,
);
