/** What the tests of this folder share: a bundle, and all that an installer could touch. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mustRun } from "#test/support/instance.ts";
import type { Machine } from "#test/support/nspawn.ts";

const ROOT = join(import.meta.dir, "../..");
const BUNDLE_MS_MAX = 120_000;

export interface Bundle {
  /** Unpacks it into `/root/bundle` of a machine, with the demonstration's manifest beside it. */
  unpack(machine: Machine): Promise<void>;
  close(): void;
}

export async function makeBundle(...flags: string[]): Promise<Bundle> {
  const dir = mkdtempSync(join(tmpdir(), "bramble-bundle-"));
  const archive = join(dir, "bundle.tar.gz");
  const image = join(dir, "web.tar");
  await mustRun([join(ROOT, "install/web-image.sh"), image]);
  const argv = [join(ROOT, "install/bundle.sh"), "--out", archive, "--image", image, ...flags];
  await mustRun(argv, { timeoutMs: BUNDLE_MS_MAX });
  const manifest = await Bun.file(join(ROOT, "install/demo.yaml")).text();
  return {
    async unpack(machine) {
      const to = join(machine.disk, "root/bundle");
      await mustRun(["mkdir", to]);
      await mustRun(["tar", "-xzf", archive, "-C", to, "--strip-components=1"]);
      writeFileSync(join(machine.disk, "root/web.yaml"), manifest.replace("NODE_PORT", "30080"));
    },
    close: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** Made by others while we look: apt's, dpkg's and systemd's own notes, logs, caches. */
const OTHERS = ["/proc", "/sys", "/run", "/root", "/tmp", "/dev", "/var/log", "/var/cache"];
const OTHERS_STATE = ["/var/lib/systemd", "/var/lib/dpkg", "/var/lib/apt", "/var/tmp"];

const LOOK = `
skip=$(printf -- '-path %s -o ' ${[...OTHERS, ...OTHERS_STATE].join(" ")})
look() { find "$@" -xdev \\( $skip -false \\) -prune -o "$\{how[@]}"; }
how=(-printf '%p %y %m %u:%g %l\\n') && look /
how=(-type f -print0) && look /etc /usr /opt /var/lib | xargs -0 sha256sum
find /run /sys/fs/cgroup -maxdepth 2 | grep -E '/(netns|bramble|kubepods)' || true
awk '{print "mount", $2, $3}' /proc/mounts
iptables-save | grep -- '^-A' || true
ip6tables-save | grep -- '^-A' || true
nft list ruleset 2>/dev/null || true
ipset list -name 2>/dev/null || true
ip -o link | awk '{print "link", $2}'
ip route show table all | grep -v '^ff00'
ip address show dev lo
systemctl list-unit-files --state=enabled --no-pager --no-legend
dpkg-query -W -f 'package \${Package} \${Status}\\n' | grep installed
getent passwd; getent group
cd /proc/sys
grep -rs . fs/inotify kernel/panic* kernel/keys net vm/overcommit* | grep -v conntrack_count || true
ls /sys/module
`;

/** Everything that an installer could touch, as sorted lines. */
export async function stateOf(machine: Pick<Machine, "must">): Promise<string[]> {
  const text = await machine.must(LOOK);
  return text.split("\n").sort();
}

/** Lines of one and not of the other. */
export function differences(before: readonly string[], after: readonly string[]): string[] {
  const [old, now] = [new Set(before), new Set(after)];
  return [
    ...before.filter((line) => !now.has(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !old.has(line)).map((line) => `+ ${line}`),
  ];
}

/** @throws Error where a tool of the tests is missing. */
export function mustHaveNspawn(): void {
  if (!existsSync("/usr/bin/systemd-nspawn")) throw new Error("systemd-container is missing");
  if (Bun.which("mmdebstrap") === null) throw new Error("mmdebstrap is missing");
}
