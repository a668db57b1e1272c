/** What a node has in the kernel and on the disk, as lines; for looking for what is left behind. */
import { readdirSync, readFileSync } from "node:fs";
import { run } from "#test/support/instance.ts";

export type Traces = Record<string, string[]>;

const COMMANDS: Record<string, string[]> = {
  iptables: ["iptables-save"],
  ip6tables: ["ip6tables-save"],
  nftables: ["nft", "list", "tables"],
  ipsets: ["ipset", "list", "-n"],
  namespaces: ["ip", "netns", "list"],
  links: ["ip", "-o", "link"],
  routes: ["ip", "route", "show", "table", "all"],
  rules: ["ip", "rule"],
  processes: ["ps", "-eo", "args"],
};

function foldersBelow(path: string, levels: number): string[] {
  if (levels === 0) return [];
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap(({ name }) => [`${path}/${name}`, ...foldersBelow(`${path}/${name}`, levels - 1)]);
  } catch {
    // It went away while we looked.
    return [];
  }
}

/** Every line that has one of the marks in it, by where it was found. */
export async function tracesOf(marks: readonly string[]): Promise<Traces> {
  const lines: Traces = {
    mounts: readFileSync("/proc/mounts", "utf8").split("\n"),
    cgroups: foldersBelow("/sys/fs/cgroup", 4),
    run: foldersBelow("/run", 2),
    files: ["/var/lib", "/var/lib/cni", "/var/lib/cni/networks", "/etc/cni", "/tmp"].flatMap(
      (path) => foldersBelow(path, 1),
    ),
  };
  for (const [where, argv] of Object.entries(COMMANDS)) {
    lines[where] = (await run(argv)).stdout.split("\n");
  }
  const found = Object.entries(lines).map(
    ([where, all]) =>
      [where, all.filter((line) => marks.some((mark) => line.includes(mark)))] as const,
  );
  return Object.fromEntries(found.filter(([, all]) => all.length > 0));
}
