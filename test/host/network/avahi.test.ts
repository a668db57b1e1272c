/** mDNS with avahi, the responder of most Linux machines: each understands the other. */
import { afterAll, beforeAll, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { must, openSite, type Site, type SiteNode } from "#test/host/network/site.ts";
import { until } from "#test/support/lab.ts";

const BEACON = join(import.meta.dir, "beacon.ts");
const HEARD_MS_MAX = 60_000;
let site: Site;
let ours: SiteNode;
let theirs: SiteNode;
let dir: string;
let bus: string;
const children: Bun.Subprocess[] = [];

function start(node: SiteNode, argv: readonly string[], lines?: string[]): Bun.Subprocess {
  const child = Bun.spawn(["nsenter", `--net=/run/netns/${node.netns}`, ...argv], {
    stdout: "pipe",
    stderr: "ignore",
    env: { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: bus },
  });
  children.push(child);
  void (async () => {
    let rest = "";
    for await (const chunk of child.stdout) {
      const parts = (rest + new TextDecoder().decode(chunk)).split("\n");
      rest = parts.pop() ?? "";
      lines?.push(...parts);
    }
  })();
  return child;
}

const beacon = (...args: string[]): string[] => [process.execPath, BEACON, ...args];
const heard = (what: string, lines: readonly string[], ...parts: string[]) =>
  until(what, HEARD_MS_MAX, async () =>
    lines.some((line) => parts.every((part) => line.includes(part))),
  ).catch((cause: unknown) => {
    throw new Error(`${what}; heard ${JSON.stringify(lines)}`, { cause });
  });

/** A bus and an avahi of our own: those of the machine, if there are any, are not touched. */
async function startAvahi(): Promise<void> {
  dir = mkdtempSync(join(tmpdir(), "bramble-avahi-"));
  bus = `unix:path=${dir}/bus`;
  writeFileSync(
    `${dir}/bus.conf`,
    `<busconfig><type>system</type><listen>${bus}</listen><auth>EXTERNAL</auth>
     <policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
     <allow eavesdrop="true"/></policy></busconfig>`,
  );
  writeFileSync(
    `${dir}/avahi.conf`,
    `[server]\nhost-name=theirs\nuse-ipv4=yes\nuse-ipv6=yes\nenable-dbus=yes
     [publish]\npublish-workstation=no\n[rlimits]\n`.replace(/^ +/gm, ""),
  );
  start(theirs, ["dbus-daemon", "--nofork", `--config-file=${dir}/bus.conf`]);
  const own = "mkdir -p /run/avahi-daemon && mount -t tmpfs none /run/avahi-daemon";
  const daemon = "avahi-daemon --no-drop-root --no-chroot --no-rlimits";
  const script = `${own} && exec ${daemon} -f ${dir}/avahi.conf`;
  await until("the bus is there", HEARD_MS_MAX, async () => existsSync(`${dir}/bus`));
  start(theirs, ["unshare", "-m", "sh", "-c", script]);
  const ask = ["env", `DBUS_SYSTEM_BUS_ADDRESS=${bus}`, "avahi-resolve", "-n", "theirs.local"];
  await until("avahi answers", HEARD_MS_MAX, async () => (await theirs.run(ask)).exitCode === 0);
}

beforeAll(async () => {
  site = await openSite(2);
  [ours, theirs] = site.nodes as [SiteNode, SiteNode];
  await must(ours.run, ["ip", "address", "add", "fd00:b::1/64", "dev", "eth0", "nodad"]);
  await must(theirs.run, ["ip", "address", "add", "fd00:b::2/64", "dev", "eth0", "nodad"]);
  await startAvahi();
}, 360_000);

afterAll(async () => {
  for (const child of children) child.kill();
  await Promise.all(children.map((child) => child.exited));
  await site.close();
  rmSync(dir, { recursive: true, force: true });
});

test("avahi-browse sees a server with its facts in both families, and hears it go", async () => {
  const seen: string[] = [];
  start(theirs, ["avahi-browse", "-rp", "_bramble._tcp"], seen);
  const server = start(ours, beacon("announce", "pi.seen"));
  const facts = ['"name=pi.seen"', '"role=server"', '"version=1"', '"ca=abc"', '"cluster=def"'];
  await heard("a server with IPv4", seen, "=;eth0;IPv4;pi-seen", ours.address, "6443", ...facts);
  await heard("a server with IPv6", seen, "=;eth0;IPv6;pi-seen", "6443", ...facts);
  server.kill("SIGTERM");
  await heard("a goodbye", seen, "-;eth0;IPv4;pi-seen");
}, 360_000);

test("what avahi announces is understood", async () => {
  const found: string[] = [];
  start(ours, beacon("browse", "120000"), found);
  const facts = ["name=pi.theirs", "role=server", "ca=def"];
  start(theirs, ["avahi-publish", "-s", "pi-theirs", "_bramble._tcp", "7443", ...facts]);
  await heard("avahi's service", found, '"found":"pi.theirs"', theirs.address, '"caSha256":"def"');
}, 360_000);

test("of two with one name the later one takes another", async () => {
  const seen: string[] = [];
  start(theirs, ["avahi-publish", "-s", "pi-twice", "_bramble._tcp", "7443", "name=first"]);
  start(theirs, ["avahi-browse", "-rp", "_bramble._tcp"], seen);
  await heard("the first", seen, "=;eth0;IPv4;pi-twice;", '"name=first"');
  start(ours, beacon("announce", "pi.twice"));
  await heard("the second", seen, "=;eth0;IPv4;pi-twice-2;", '"name=pi.twice"');
}, 360_000);

test("a machine with IPv6 alone is found, and followed to its new address", async () => {
  const found: string[] = [];
  await must(ours.run, ["ip", "-4", "address", "flush", "dev", "eth0"]);
  start(ours, beacon("announce", "pi.six"));
  start(theirs, beacon("browse", "120000"), found);
  await heard("the IPv6 address", found, '"found":"pi.six"', "fd00:b::1");
  await must(ours.run, ["ip", "address", "add", "fd00:b::77/64", "dev", "eth0", "nodad"]);
  await must(ours.run, ["ip", "address", "del", "fd00:b::1/64", "dev", "eth0"]);
  await heard("the new address", found, '"found":"pi.six"', '["fd00:b::77"]');
}, 360_000);
