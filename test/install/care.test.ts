/**
 * A cluster of three Debians with systemd is cared for: brought back from a backup with its nodes,
 * upgraded in place by a newer bundle's install.sh, and node by node, each drained first.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { eventually, mustRun } from "#test/support/instance.ts";
import { type Machine, type Site, startSite } from "#test/support/nspawn.ts";
import { type Bundle, makeBundle, mustHaveNspawn } from "./machine.ts";

const ROOT = join(import.meta.dir, "../..");
const STEP_MS_MAX = 180_000;

let site: Site;
let bundle: Bundle;
let server: Machine;
let agents: [Machine, Machine];

const buildOf = (version: string, to: string) =>
  mustRun([
    "env",
    "--chdir",
    ROOT,
    `BRAMBLE_BUILD_VERSION=${version}`,
    "bun",
    "tools/build.ts",
    to,
  ]);

/** In the server's own words. */
const ready = async (): Promise<number> => {
  const { stdout } = await server.exec("bramble get nodes --no-headers");
  return stdout.match(/\sReady\s/g)?.length ?? 0;
};

beforeAll(async () => {
  mustHaveNspawn();
  bundle = await makeBundle();
  site = await startSite(["ca", "cb", "cc"]);
  const [first, ...others] = site.machines as [Machine, Machine, Machine];
  [server, agents] = [first, others];
  await Promise.all(site.machines.map((machine) => bundle.unpack(machine)));
  await server.must("/root/bundle/install.sh --server");
  const token = (await server.must("bramble token create --uses 2")).trim();
  await Promise.all(
    agents.map((agent) => agent.must(`/root/bundle/install.sh --agent --token ${token}`)),
  );
  await eventually("three nodes are ready", 60_000, async () => (await ready()) === 3);
  await server.must("bramble apply -f /root/web.yaml");
  await server.must("bramble rollout status deployment/web --timeout 60s");
}, 400_000);

afterAll(async () => {
  await site?.close();
  bundle?.close();
}, STEP_MS_MAX);

/** A program that ends at once in one role, and else is another one. */
const brokenAs = (role: string, program: string): string => `#!/bin/sh
[ "$1" = ${role} ] && exit 3
[ "$1" != upgrade ] || { shift; exec ${program} upgrade "$0" "$@"; }
exec ${program} "$@"
`;

const shimsOf = (machine: Machine) => machine.must("pgrep -x containerd-shim | sort");
const pods = async (): Promise<string[]> => {
  const { stdout } = await server.exec("bramble get pods --no-headers -o wide");
  return stdout.split("\n").filter((line) => /1\/1\s+Running/.test(line));
};

test(
  "a server made of a backup has its nodes, and their pods run on",
  async () => {
    await server.must("bramble backup /root/all.backup");
    const before = await Promise.all(site.machines.map(shimsOf));
    const names = (await pods()).map((line) => line.split(/\s+/, 1)[0]).sort();
    await server.must("systemctl stop bramble");
    const refused = await server.exec("bramble restore /root/all.backup");
    expect(refused.stderr).toContain("there is a cluster in /var/lib/bramble already");
    await server.must(`rm -r /var/lib/bramble/state.db* /var/lib/bramble/pki
      rm /var/lib/bramble/admin-token && bramble restore /root/all.backup
      systemctl start bramble`);
    await eventually("three nodes are ready again", 60_000, async () => (await ready()) === 3);
    await eventually("the pods are ready", 30_000, async () => (await pods()).length === 3);
    expect((await pods()).map((line) => line.split(/\s+/, 1)[0]).sort()).toEqual(names);
    expect(await Promise.all(site.machines.map(shimsOf))).toEqual(before);
    // What is new reaches them, too.
    await server.must("bramble scale deployment/web --replicas 6");
    await eventually("six pods are ready", 60_000, async () => (await pods()).length === 6);
  },
  STEP_MS_MAX,
);

test(
  "a newer bundle's install.sh upgrades in place, and goes back where that does not come up",
  async () => {
    await buildOf("0.1.7", join(server.disk, "root/bundle/bramble"));
    await server.must("rm /root/bundle/SHA256SUMS && echo '# newer' >>/root/bundle/uninstall.sh");
    const settings = "cat /etc/bramble/config.yaml; bramble get nodes -o name; ls /var/lib/bramble";
    const before = [await shimsOf(server), await server.must(settings)];
    const said = await server.must("/root/bundle/install.sh");
    expect(said).toContain("==> upgrade bramble, and go back if it does not come up\n");
    expect(said).toContain("==> write /usr/local/lib/bramble/uninstall.sh\n");
    expect(said).not.toMatch(/^==> (?:re)?start bramble/m);
    expect(await server.must("bramble version")).toContain("+bramble-0.1.7");
    const after = await server.must(settings);
    expect([await shimsOf(server), after.replace(/^before-upgrade\n/m, "")]).toEqual(before);
    expect(await server.must("/root/bundle/install.sh")).not.toContain("==>");

    await buildOf("0.1.8", join(server.disk, "root/whole"));
    await Bun.write(join(server.disk, "root/bundle/bramble"), brokenAs("server", "/root/whole"));
    await server.must("chmod 755 /root/bundle/bramble");
    const broken = await server.exec("/root/bundle/install.sh");
    expect(broken.exitCode).not.toBe(0);
    expect(broken.stderr).toContain("0.1.8 did not come up");
    expect(await server.must("bramble version")).toContain("+bramble-0.1.7");
    expect(await shimsOf(server)).toBe(before[0] as string);
  },
  STEP_MS_MAX,
);

/** Notes what nodes and pods are like, several times a second, until it is told to stop. */
const WATCH = `setsid bash -c 'while [ ! -e /root/stop ]; do echo ---
  bramble get nodes --no-headers; bramble get pods --no-headers -o wide; sleep 0.2
done' >/root/seen 2>/dev/null </dev/null &`;

test(
  "the cluster is upgraded node by node: drained, and let in again",
  async () => {
    await buildOf("0.2.0", join(server.disk, "root/next"));
    await server.must(`${WATCH} sleep 0`);
    const said = await server.must("/root/next upgrade --cluster");
    await server.must("touch /root/stop");
    const lines = said.split("\n").map((line) => line.split(/[ ;]/).slice(0, 2).join(" "));
    const steps = ({ name }: Machine) => [`${name}: draining`, `${name}: taking`, `${name}: ready`];
    const own = steps(server);
    const [a, b] = agents;
    expect(lines.filter((line) => /^c[abc]\d+: /.test(line))).toEqual([
      ...[own[0] ?? "", own[2] ?? ""],
      ...[...steps(a), ...steps(b)],
    ]);
    const looks = (await Bun.file(join(server.disk, "root/seen")).text()).split("---\n");
    for (const { name } of site.machines) {
      const shut = looks.filter(
        (look) => look.includes("SchedulingDisabled") && cordoned(look, name),
      );
      expect(shut.length, `${name} was closed`).toBeGreaterThan(0);
      const empty = shut.filter((look) => !runs(look, name));
      expect(empty.length, `${name} was empty while it was closed`).toBeGreaterThan(0);
    }
    const nodes = await server.must("bramble get nodes --no-headers");
    expect(nodes.match(/\sReady\s.*bramble-0\.2\.0/g)).toHaveLength(3);
    await eventually("six pods are ready", 60_000, async () => (await pods()).length === 6);
  },
  STEP_MS_MAX,
);

const cordoned = (look: string, name: string): boolean =>
  new RegExp(`^${name}\\s+\\S*SchedulingDisabled`, "m").test(look);
const runs = (look: string, name: string): boolean =>
  new RegExp(`^web-.*1/1\\s+Running.*\\s${name}\\s`, "m").test(look);

test(
  "it stops at a node that does not come up, which is as before and open again",
  async () => {
    await buildOf("0.3.0", join(server.disk, "root/third"));
    for (const { disk } of agents) {
      await mustRun(["cp", join(server.disk, "root/third"), join(disk, "root")]);
    }
    await Bun.write(join(server.disk, "root/wrapper"), brokenAs("agent", "/root/third"));
    const tried = await server.exec(
      "chmod +x /root/wrapper && bramble upgrade --cluster /root/wrapper",
    );
    const [a, b] = agents;
    expect(tried.exitCode).toBe(1);
    expect(tried.stderr).toContain(`bramble: ${a.name}: 0.3.0 did not come up`);
    expect(tried.stdout).not.toContain(`${b.name}: `);
    await eventually("three nodes are ready", 60_000, async () => (await ready()) === 3);
    const nodes = await server.must("bramble get nodes --no-headers");
    const versions = nodes.match(/^c[abc]|bramble-[\d.]+/gm)?.join(" ");
    expect(versions).toBe("ca bramble-0.3.0 cb bramble-0.2.0 cc bramble-0.2.0");
    expect(nodes).not.toContain("SchedulingDisabled");
    expect(await server.must("bramble get nodes -o yaml")).not.toContain("bramble.dev/upgrade");
  },
  STEP_MS_MAX,
);
