/**
 * The engine takes the machine's whole memory for its own and lets garbage pile up accordingly;
 * where a control group allows less, it must be told, or it is killed with most of it garbage.
 */
import { join } from "node:path";

/** Reads a small file; undefined where there is none. */
type Read = (path: string) => string | undefined;

const ROOT = "/sys/fs/cgroup";
/** By version of control groups: its line in `/proc/self/cgroup`, its folder, the file of the limit. */
const VERSIONS = [
  {
    line: /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(\/.*)$/m,
    root: `${ROOT}/memory`,
    file: "memory.limit_in_bytes",
  },
  { line: /^0::(\/.*)$/m, root: ROOT, file: "memory.max" },
] as const;

/** The smallest limit of this process's control groups in bytes; undefined where there is none. */
export function memoryLimit(read: Read): number | undefined {
  const groups = read("/proc/self/cgroup") ?? "";
  const limits: number[] = [];
  for (const { line, root, file } of VERSIONS) {
    let path = line.exec(groups)?.[1];
    while (path !== undefined) {
      const bytes = Number(read(join(root, path, file))?.trim());
      if (bytes > 0) limits.push(bytes);
      path = path === "/" ? undefined : join(path, "..");
    }
  }
  return limits.length > 0 ? Math.min(...limits) : undefined;
}

/** Half of the limit: the rest is for containerd, the pods and copies of files. */
export function engineMemory(
  limitBytes: number | undefined,
  totalBytes: number,
): number | undefined {
  if (limitBytes === undefined || limitBytes >= totalBytes) return undefined;
  return Math.floor(limitBytes / 2);
}
