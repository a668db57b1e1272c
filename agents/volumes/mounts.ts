/** Mounting and unmounting on the node. */
import { readFile } from "node:fs/promises";
import type { Run } from "#base/process.ts";

/** Mount points in the kernel's escapes: `\040` is a space. */
const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );

export interface MountCall {
  flags: readonly string[];
  /** May begin with a dash. */
  source: string;
  point: string;
}

export class Mounts {
  readonly #run: Run;
  readonly #table: string;

  constructor(run: Run, table = "/proc/self/mountinfo") {
    this.#run = run;
    this.#table = table;
  }

  /** Mount points at or below a directory, the innermost first. */
  async below(directory: string): Promise<string[]> {
    const text = await readFile(this.#table, "utf8");
    const points = text.split("\n").flatMap((line) => {
      const point = unescaped(line.split(" ", 5)[4] ?? "");
      return point === directory || point.startsWith(`${directory}/`) ? [point] : [];
    });
    return points.reverse();
  }

  async isMounted(point: string): Promise<boolean> {
    return (await this.below(point)).includes(point);
  }

  async mount({ flags, source, point }: MountCall): Promise<void> {
    const args = [...flags, "--", source];
    const result = await this.#run(["mount", ...args, point]);
    if (result.exitCode === 0) return;
    throw new Error(
      `mount ${args.join(" ")}: ${result.stderr.trim() || `exit ${result.exitCode}`}`,
    );
  }

  /** Everything at or below; throws an Error while something is busy. */
  async unmountBelow(directory: string): Promise<void> {
    for (const point of await this.below(directory)) {
      const result = await this.#run(["umount", point]);
      if (result.exitCode === 0) continue;
      // A server that does not answer, or a process that looks in: detached now, freed when it lets
      // go.
      const lazy = await this.#run(["umount", "-l", point]);
      if (lazy.exitCode !== 0) throw new Error(`umount ${point}: ${lazy.stderr.trim()}`);
    }
  }
}
