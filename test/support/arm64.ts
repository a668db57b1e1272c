/**
 * A small Debian for 64-bit ARM, run by qemu in namespaces of its own (users, mounts, processes,
 * network, and with them the kernel's list of foreign programs), so that this machine's stay as
 * they are. What qemu does not translate, netfilter's netlink, is left to this machine's programs.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { eventually, mustRun, run } from "#test/support/instance.ts";
import type { Result } from "#test/support/lab.ts";

const CACHE = process.env["NSPAWN_CACHE"] ?? "/var/cache/lab";
const BINFMT = "/usr/lib/binfmt.d/qemu-aarch64.conf";
/** Made once, of packages from the network, each of which is set up by qemu. */
const BASE_MS_MAX = 600_000;
const COMMAND_MS_MAX = 300_000;
const START_MS_MAX = 10_000;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const REGISTER = `mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
grep '^:' ${BINFMT} >/proc/sys/fs/binfmt_misc/register`;

/** Of a Cortex-A76; containerd reads the variant there, and qemu shows this machine's. */
const CPUINFO = "processor\t: 0\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd0b\n";

/** A script in new namespaces in which it is root, with all users of this machine's. */
async function apart(kinds: readonly string[], script: string): Promise<Bun.Subprocess> {
  const begin = `read -r _\n${script}`;
  const argv = ["unshare", "--user", "--mount", "--propagation", "private", ...kinds];
  const child = Bun.spawn([...argv, "bash", "-ec", begin], {
    stdin: "pipe",
    stdout: "ignore",
    stderr: "inherit",
  });
  const own = await mustRun(["readlink", "/proc/self/ns/user"]);
  await eventually("namespaces are there", START_MS_MAX, async () => {
    return (await mustRun(["readlink", `/proc/${child.pid}/ns/user`])) !== own;
  });
  for (const map of ["uid_map", "gid_map"]) writeFileSync(`/proc/${child.pid}/${map}`, "0 0 65536");
  child.stdin.write("go\n");
  await child.stdin.end();
  return child;
}

async function base(): Promise<string> {
  const made = join(CACHE, "debian-arm64");
  if (existsSync(made)) return made;
  mkdirSync(CACHE, { recursive: true });
  const words = ["mmdebstrap", "--quiet", "--mode=root", "--variant=essential", "--arch=arm64"];
  const skip = "--skip=check/qemu,output/mknod,setup/mknod";
  const build = [...words, "--include=iproute2,mount,procps", skip, "bookworm"].join(" ");
  const child = await apart(
    [],
    `${REGISTER}\nexec 9>${CACHE}/lock-arm64 && flock 9
    [ -d ${made} ] || { rm -rf ${made}.new && ${build} ${made}.new && mv ${made}.new ${made}; }`,
  );
  const timer = setTimeout(() => child.kill("SIGKILL"), BASE_MS_MAX);
  const status = await child.exited;
  clearTimeout(timer);
  if (status !== 0) throw new Error(`mmdebstrap: status ${status}`);
  return made;
}

/** This machine's iptables and conntrack with their libraries, before those of the board. */
async function lendNetfilter(disk: string): Promise<void> {
  const multi = "/usr/sbin/xtables-nft-multi";
  const sbin = join(disk, "usr/local/sbin");
  const listed = await mustRun(["ldd", multi, "/usr/sbin/conntrack"]);
  const libraries = listed.match(/\/lib\S+\.so\S*/g) ?? [];
  for (const path of new Set([...libraries, "/usr/lib/x86_64-linux-gnu/xtables"])) {
    const to = join(disk, path.replace(/^\/lib\//, "/usr/lib/"));
    mkdirSync(dirname(to), { recursive: true });
    cpSync(path, to, { recursive: true, dereference: true });
  }
  for (const path of [multi, "/usr/sbin/conntrack"]) cpSync(path, join(sbin, path.slice(10)));
  for (const name of ["iptables", "ip6tables"]) {
    for (const end of ["", "-save", "-restore"]) {
      symlinkSync("xtables-nft-multi", join(sbin, `${name}${end}`));
    }
  }
}

export interface Board {
  readonly disk: string;
  /** A shell script, as root in it. */
  exec(script: string): Promise<Result>;
  /** As `exec`, but throws for a status other than 0; answers stdout. */
  must(script: string): Promise<string>;
  /** Ends all that runs in it; its disk is the caller's to remove. */
  close(): Promise<void>;
}

/** Its disk is a new folder. @throws Error where a tool of the tests is missing. */
export async function startBoard(disk: string): Promise<Board> {
  if (!existsSync(BINFMT)) throw new Error("qemu-user-static has no list for binfmt_misc");
  if (Bun.which("mmdebstrap") === null) throw new Error("mmdebstrap is missing");
  await mustRun(["cp", "-a", await base(), disk]);
  await lendNetfilter(disk);
  writeFileSync(join(disk, "root/cpuinfo"), CPUINFO);
  // Each installed Debian has one; a package would make it here.
  writeFileSync(join(disk, "etc/hosts"), "127.0.0.1\tlocalhost\n");
  const child = await apart(
    ["--net", "--pid", "--fork", "--kill-child"],
    `ip link set lo up
    ip link add eth0 type veth peer name far && ip link set far up && ip link set eth0 up
    ip address add 192.168.91.11/24 dev eth0 && ip route add default via 192.168.91.1 dev eth0
    mount -t proc proc /proc
    ${REGISTER}
    for d in proc sys dev; do mount --rbind /$d ${disk}/$d; done
    mount -t tmpfs tmpfs ${disk}/sys/fs/cgroup
    mount --bind ${disk}/root/cpuinfo ${disk}/proc/cpuinfo
    touch ${disk}/root/up
    exec sleep infinity`,
  );
  await eventually("the board is up", START_MS_MAX, async () => {
    if (child.exitCode !== null) throw new Error(`namespaces ended with ${child.exitCode}`);
    return existsSync(join(disk, "root/up"));
  });
  const first = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim();
  const enter = ["nsenter", "--target", first, "--user", "--mount", "--net", "--pid"];
  const clean = ["/usr/bin/env", "-i", `PATH=${PATH}`, "HOME=/root", "LANG=C.UTF-8"];
  const exec = (script: string): Promise<Result> =>
    run([...enter, "chroot", disk, ...clean, "bash", "-c", script], { timeoutMs: COMMAND_MS_MAX });
  return {
    disk,
    exec,
    async must(script) {
      const { exitCode, stdout, stderr } = await exec(script);
      if (exitCode !== 0) throw new Error(`status ${exitCode}: ${stdout}${stderr}`);
      return stdout;
    },
    async close() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
