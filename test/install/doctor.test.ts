/**
 * `bramble doctor` on a Debian with systemd whose own services and firewalls are not as they should
 * be: it names each with the command that mends it, and `--fix` carries that out.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { eventually, mustRun } from "#test/support/instance.ts";
import { BRAMBLE } from "#test/support/lab.ts";
import { type Machine, type Site, startSite } from "#test/support/nspawn.ts";
import { mustHaveNspawn } from "./machine.ts";

const PACKAGES = ["ufw", "firewalld", "systemd-timesyncd", "containerd", "runc"];
const STEP_MS_MAX = 120_000;

let site: Site;
let machine: Machine;

beforeAll(async () => {
  mustHaveNspawn();
  site = await startSite(["ill"], { packages: PACKAGES });
  machine = site.machines[0] as Machine;
  await mustRun(["cp", BRAMBLE, join(machine.disk, "root/bramble")]);
  await machine.must(`systemctl disable --quiet --now firewalld containerd systemd-timesyncd
    ufw --force disable && : >/etc/apt/sources.list && rm -rf /var/lib/apt/lists/*`);
}, 500_000);

afterAll(async () => {
  await site?.close();
}, STEP_MS_MAX);

/** What is said of one check, with the commands below it. */
async function say(check: string, ...flags: string[]): Promise<string[]> {
  const { stdout } = await machine.exec(`/root/bramble doctor ${flags.join(" ")}`);
  const blocks = stdout.trimEnd().split(/\n(?! {8})/);
  return blocks.filter((block) => block.replace(/^(?:ok|warn|FAIL) +/, "").startsWith(check));
}

test(
  "a containerd that is off is started, and from then on with the machine",
  async () => {
    const text = "does not answer on /run/containerd/containerd.sock";
    expect(await say("containerd")).toEqual([
      `FAIL  containerd: ${text}\n        systemctl enable --now containerd`,
    ]);
    const [mended, now] = await say("containerd", "--fix");
    expect(mended).toBe("containerd: mended");
    expect(await machine.must("containerd --version")).toContain(
      ` ${now?.replace("ok    containerd: ", "")} `,
    );
    expect(await machine.must("systemctl is-enabled containerd")).toBe("enabled\n");
  },
  STEP_MS_MAX,
);

test(
  "the clock is left to a program that sets it, which is brought where there is none",
  async () => {
    const [found] = await say("clock");
    expect(found).toMatch(
      /^warn {2}clock: \S+, not synchronized: .*\n {8}timedatectl set-ntp true$/,
    );
    // The fix before this one has turned it on; that it runs is not for a machine in a machine.
    expect(await machine.must("systemctl is-enabled systemd-timesyncd")).toBe("enabled\n");
    await machine.must("dpkg --purge systemd-timesyncd && systemctl restart systemd-timedated");
    expect((await say("clock"))[0]).toEndWith(
      "apt-get install -y systemd-timesyncd\n        timedatectl set-ntp true",
    );
  },
  STEP_MS_MAX,
);

/** Whether a computer on the machine's network reaches its API's port. */
async function isReached(): Promise<boolean> {
  const dial = `exec 3<>/dev/tcp/${machine.address}/6443`;
  const script = `timeout 1 bash -c '${dial}' 2>/dev/null && echo yes || echo no`;
  return (await site.onLan(["bash", "-c", script])) === "yes\n";
}

const LISTEN = "setsid python3 -m http.server 6443 >/dev/null 2>&1 </dev/null & sleep 0";

test(
  "ufw is told to let the cluster through, once",
  async () => {
    await machine.must(LISTEN);
    await eventually("the port is open", 10_000, isReached);
    await machine.must("ufw --force enable");
    expect(await isReached()).toBe(false);
    const [found = ""] = await say("firewall");
    expect(found.split("\n")).toEqual([
      "warn  firewall: ufw is on: it must let the cluster through",
      ...["6443/tcp", "5353/udp"].map((port) => `        ufw allow ${port}`),
      ...["10.42.0.0/16", "10.43.0.0/16"].flatMap((range) => [
        `        ufw allow from ${range}`,
        `        ufw route allow from ${range}`,
        `        ufw route allow to ${range}`,
      ]),
    ]);
    const well = "ok    firewall: ufw lets the cluster through";
    expect(await say("firewall", "--fix")).toEqual(["firewall: mended", well]);
    expect(await isReached()).toBe(true);
    await machine.must("ufw delete allow 5353/udp");
    expect((await say("firewall"))[0]?.split("\n").slice(1)).toEqual([
      "        ufw allow 5353/udp",
    ]);
    await machine.must("ufw --force disable");
  },
  STEP_MS_MAX,
);

test(
  "firewalld is told to let the cluster through, once",
  async () => {
    await machine.must("systemctl start firewalld");
    await eventually("it is on", 10_000, async () => !(await isReached()));
    const [found = ""] = await say("firewall");
    expect(found).toContain("        firewall-cmd --permanent --add-port=6443/tcp\n");
    expect(found).toContain("--zone=trusted --add-source=10.42.0.0/16\n");
    expect(found).toEndWith("        firewall-cmd --reload");
    const well = "ok    firewall: firewalld lets the cluster through";
    expect(await say("firewall", "--fix")).toEqual(["firewall: mended", well]);
    await eventually("the port is let through", 10_000, isReached);
    expect(await machine.must("firewall-cmd --zone=trusted --list-sources")).toBe(
      "10.42.0.0/16 10.43.0.0/16\n",
    );
  },
  STEP_MS_MAX,
);
