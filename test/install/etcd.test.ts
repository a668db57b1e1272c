/**
 * `install.sh --server --etcd` on three boards, under a real systemd and without a network: members
 * come in, one is replaced, one is kept, one leaves; what it says of each number of them is true.
 * With Debian's etcd, or the one (and its etcdctl) that BRAMBLE_TEST_ETCD and BRAMBLE_TEST_ETCDCTL
 * name: `bun run test:etcd36 ./test/install/etcd.test.ts`.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { eventually, mustRun } from "#test/support/instance.ts";
import { type Machine, type Site, startSite } from "#test/support/nspawn.ts";
import { type Bundle, differences, makeBundle, mustHaveNspawn, stateOf } from "./machine.ts";

const STEP_MS_MAX = 180_000;
const INSTALL = "/root/bundle/install.sh";
const STATUS = "/usr/local/lib/bramble/etcd.sh status";
const OTHER = { etcd: "BRAMBLE_TEST_ETCD", etcdctl: "BRAMBLE_TEST_ETCDCTL" };
let site: Site;
let bundle: Bundle;
let a: Machine;
let b: Machine;
let c: Machine;
let d: Machine;
let before: string[];

beforeAll(async () => {
  mustHaveNspawn();
  [bundle, site] = await Promise.all([makeBundle("--etcd"), startSite(["ea", "eb", "ec", "ed"])]);
  [a, b, c, d] = site.machines as [Machine, Machine, Machine, Machine];
  await Promise.all(site.machines.map((machine) => unpack(machine)));
  before = await stateOf(a);
}, 300_000);

afterAll(async () => {
  await site?.close();
  bundle?.close();
}, STEP_MS_MAX);

/** As `bundle.sh --help` says that another etcd comes in. */
async function unpack(machine: Machine): Promise<void> {
  await bundle.unpack(machine);
  const to = join(machine.disk, "root/bundle");
  for (const [name, variable] of Object.entries(OTHER)) {
    const program = process.env[variable];
    if (program === undefined) continue;
    await mustRun(["cp", program, join(to, "etcd", name)]);
    await mustRun(["rm", "-f", join(to, "SHA256SUMS")]);
  }
}

/** What a server gives to a board that is to come in. */
const bring = (from: Machine, to: Machine): Promise<unknown> =>
  mustRun(["cp", join(from.disk, "etc/bramble/etcd/join"), join(to.disk, "root/join")]);

async function readyNodes(on: Machine, count: number): Promise<void> {
  await eventually(`${count} nodes are ready`, 60_000, async () => {
    const nodes = await on.must("bramble get nodes --no-headers");
    return nodes.match(/\sReady\s/g)?.length === count;
  });
}

const writing = (name: string): string =>
  `printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: ${name}}\\n' | bramble apply -f -`;
const write = (on: Machine, name: string) => on.must(writing(name));

test(
  "a dry run says each thing and does none of it",
  async () => {
    const said = await a.must(`${INSTALL} --server --etcd --dry-run`);
    for (const words of [
      /^would write \/usr\/local\/lib\/bramble\/etcd\/etcd$/m,
      /^would make the certificates of etcd$/m,
      /^would write \/etc\/bramble\/etcd\/etcd.env$/m,
      /^would write \/etc\/systemd\/system\/bramble-etcd.service$/m,
      /^would start etcd$/m,
      /^would take a snapshot every six hours$/m,
      /^would set datastore in \/etc\/bramble\/config.yaml$/m,
    ]) {
      expect(said).toMatch(words);
    }
    expect(differences(before, await stateOf(a))).toEqual([]);
  },
  STEP_MS_MAX,
);

test(
  "three boards, one after the other, each told what their number survives",
  async () => {
    const first = await a.must(`${INSTALL} --server --etcd`);
    expect(first).toContain("1 member: when it is away nothing works");
    await bring(a, b);
    const second = await b.must(`${INSTALL} --server --etcd-join /root/join`);
    expect(second).toContain("2 members: when EITHER is away nothing can be written");
    await bring(b, c);
    const third = await c.must(`${INSTALL} --server --etcd-join /root/join`);
    expect(third).toContain("3 members: 1 may be away; with 2 away nothing can be written");
    await readyNodes(c, 3);
    // TLS with a certificate of the members' authority, or nothing.
    const plain = await a.exec(
      "bash -c 'exec 3<>/dev/tcp/127.0.0.1/2379; echo GET / >&3; cat <&3'",
    );
    expect(plain.stdout).not.toContain("200 OK");
    expect(await a.must("stat -c %a /etc/bramble/etcd/join /var/lib/bramble-etcd")).toBe(
      "600\n700\n",
    );
  },
  STEP_MS_MAX,
);

test(
  "run again, the first ones learn of the last; then nothing changes",
  async () => {
    for (const machine of [a, b]) {
      expect(await machine.must(INSTALL)).toContain("==> set datastore in");
    }
    for (const machine of [a, b, c]) expect(await machine.must(INSTALL)).not.toContain("==>");
    const config = await a.must("cat /etc/bramble/config.yaml");
    const urls = [a, b, c].map(({ address }) => `https://${address}:2379`);
    const datastore = /^datastore: "etcd=(.*)"$/m.exec(config)?.[1]?.split(",") ?? [];
    expect(datastore[0]).toBe(urls[0] ?? "");
    expect(datastore.toSorted()).toEqual(urls.toSorted());
  },
  STEP_MS_MAX,
);

test(
  "snapshots are taken by a timer, whole, and the last twelve kept",
  async () => {
    const folder = "/var/lib/bramble-etcd/snapshots";
    expect(await a.must("systemctl list-timers --no-legend")).toContain("bramble-etcd-snapshot");
    await a.must(`for i in $(seq 10 30); do touch ${folder}/200001$\{i}T000000Z.db; done`);
    await a.must("systemctl start bramble-etcd-snapshot");
    const files = (await a.must(`ls ${folder}`)).trim().split("\n");
    expect(files).toHaveLength(12);
    expect(files.at(-1)).toMatch(/^20[2-9]\d/);
    const size = Number(await a.must(`stat -c %s ${folder}/${files.at(-1)}`));
    expect(size).toBeGreaterThan(20_000);
  },
  STEP_MS_MAX,
);

test(
  "a board without power stops nothing, and another one takes its place",
  async () => {
    await c.cut();
    await eventually("writes go on", 10_000, () => write(a, "while-one-is-away"));
    expect(await b.must(STATUS)).toMatch(new RegExp(`^${c.name} .* does not answer$`, "m"));
    await bring(a, d);
    const alive = await d.exec(
      `${INSTALL} --server --etcd-join /root/join --etcd-replace ${b.name}`,
    );
    expect(alive.stderr).toContain(`the member ${b.name} at https://${b.address}:2379 runs`);
    await d.must(`${INSTALL} --server --etcd-join /root/join --etcd-replace ${c.name}`);
    const status = await d.must(STATUS);
    expect(status).not.toContain(c.name);
    expect(status.match(/ answers$/gm)).toHaveLength(3);
    expect(await d.must("bramble get configmap while-one-is-away -o name")).toContain("while");
  },
  STEP_MS_MAX,
);

test(
  "a board whose disk was made anew comes in again under its name",
  async () => {
    await b.must("systemctl stop bramble bramble-etcd && rm -rf /var/lib/bramble-etcd/data");
    await bring(d, b);
    const said = await b.must(`${INSTALL} --server --etcd-join /root/join`);
    expect(said).toContain(`==> remove the member ${b.name} from the etcd`);
    expect(said).toContain("3 members: 1 may be away");
    await write(b, "again");
  },
  STEP_MS_MAX,
);

test(
  "a member that was uninstalled with its data kept is the same one when installed again",
  async () => {
    const members = "/usr/local/lib/bramble/etcd.sh status | sort";
    const [before, authority] = [await b.must(members), "cat /etc/bramble/etcd/ca.crt"];
    const known = await d.must(authority);
    const words = "keep what this machine's member of the etcd needs to start again";
    const keep = "/usr/local/lib/bramble/uninstall.sh --keep-data --keep-packages";
    expect(await d.must(`${keep} --dry-run`)).toContain(`would ${words}`);
    expect(await d.must(keep)).toContain(`==> ${words}`);
    expect(await d.must("ls /etc/bramble 2>&1 || true")).toContain("No such");
    await eventually("writes go on", 10_000, () => write(b, "while-it-was-not-installed"));
    expect(await b.must(STATUS)).toMatch(new RegExp(`^${d.name} .* does not answer$`, "m"));
    const said = await d.must(`${INSTALL} --server`);
    expect(said).not.toContain("add this machine to the etcd");
    expect(said).toContain("3 members: 1 may be away");
    expect(await d.must(members)).toBe(before);
    expect(await d.must(authority)).toBe(known);
    expect(await d.must("ls /var/lib/bramble-etcd")).toBe("data\nsnapshots\n");
    const get = "bramble get configmap while-it-was-not-installed -o name";
    expect(await d.must(get)).toContain("while-it-was-not-installed");
    await write(d, "back");
    expect(await d.must(INSTALL)).not.toContain("==>");
  },
  STEP_MS_MAX,
);

test(
  "uninstalled, a member has left, the others go on, and the board is as before",
  async () => {
    const dry = await a.must("/usr/local/lib/bramble/uninstall.sh --dry-run");
    expect(dry).toContain("would take this machine's member out of the etcd");
    expect(dry).toContain("would remove /var/lib/bramble-etcd with its snapshots");
    await a.must("/usr/local/lib/bramble/uninstall.sh");
    expect(differences(before, await stateOf(a))).toEqual([]);
    const status = await d.must(STATUS);
    expect(status).toContain("2 members: when EITHER is away");
    await eventually("writes go on", 10_000, () => write(d, "after"));
    // What it says of two is so.
    await b.must("systemctl stop bramble-etcd");
    const alone = await d.exec(`timeout 20 sh -c "${writing("alone")}"`);
    expect(alone.exitCode).not.toBe(0);
  },
  STEP_MS_MAX,
);
