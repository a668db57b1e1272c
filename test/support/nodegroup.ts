/** What a lab node's control group says of its memory and processes (version 1 of them). */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { LAB_ID } from "#test/support/lab.ts";

const GROUPS = `/sys/fs/cgroup/memory/lab${LAB_ID}`;

export interface NodeMemory {
  limitMb: number;
  /** Of all processes, without what is mapped from files. */
  anonymousMb: number;
  /** Pages of programs and other files that processes have mapped. */
  mappedMb: number;
  /** All, with copies of files that the kernel drops when it needs the room. */
  usedMb: number;
}

const MB = 2 ** 20;

export function nodeMemory(node: string): NodeMemory {
  const group = join(GROUPS, node);
  const number = (name: string) => Number(readFileSync(join(group, name), "utf8"));
  const text = readFileSync(join(group, "memory.stat"), "utf8");
  const of = (name: string) => Number(new RegExp(`^total_${name} (\\d+)$`, "m").exec(text)?.[1]);
  return {
    limitMb: number("memory.limit_in_bytes") / MB,
    anonymousMb: of("rss") / MB,
    mappedMb: of("mapped_file") / MB,
    usedMb: number("memory.usage_in_bytes") / MB,
  };
}

/** Of a node that is on, as the machine numbers them. */
export function processesOf(node: string): number[] {
  const folders = readdirSync(join(GROUPS, node), { recursive: true, encoding: "utf8" });
  return folders
    .filter((name) => name.endsWith("cgroup.procs"))
    .flatMap((name) => readFileSync(join(GROUPS, node, name), "utf8").split("\n"))
    .filter((line) => line !== "")
    .map(Number);
}

/** Those of a node that run this program, as the machine numbers them. */
export function runningIn(node: string, program: string): number[] {
  return processesOf(node).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0", 1)[0] === program;
    } catch {
      // It ended meanwhile.
      return false;
    }
  });
}

/** Processes of the node that the kernel killed for want of memory since its boot. */
export function killedIn(node: string): number {
  const groups = readdirSync(join(GROUPS, node), { recursive: true, encoding: "utf8" });
  const counts = groups
    .filter((name) => name.endsWith("memory.oom_control"))
    .map((name) => readFileSync(join(GROUPS, node, name), "utf8"))
    .map((text) => Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0));
  return counts.reduce((sum, count) => sum + count, 0);
}
