/**
 * How nerdctl is called: its global flags, a clean environment, few at once, always a time limit.
 */

import { Places } from "#agents/runtime/turns.ts";
import { messageOf, TimeoutError } from "#base/errors.ts";
import type { Run } from "#base/process.ts";

export interface CallerOptions {
  run: Run;
  binary: string;
  address: string;
  namespace: string;
  /** nerdctl's own state. */
  dataRoot: string;
  /** Folders with registries' certificates and mirrors (containerd's hosts.toml). */
  hostsDirs: readonly string[];
  /** Calls at once. */
  callsMax: number;
  timeoutMs: number;
}

export interface NerdctlCall {
  argv: readonly string[];
  env?: Record<string, string>;
  timeoutMs?: number;
}

/** What nerdctl said when it failed. */
export class NerdctlError extends Error {
  override name = "NerdctlError";
}

/** The words of the last fatal line: `time="…" level=fatal msg="…"`. */
export function fatalMessage(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => line !== "");
  const line = lines.findLast((each) => each.includes("level=fatal")) ?? lines.at(-1) ?? "";
  const quoted = /msg=("(?:[^"\\]|\\.)*")/.exec(line)?.[1];
  if (quoted === undefined) return /msg=(\S+)/.exec(line)?.[1] ?? line;
  try {
    return String(JSON.parse(quoted));
  } catch {
    return quoted.slice(1, -1);
  }
}

export class Caller {
  readonly #options: CallerOptions;
  readonly #places: Places;

  constructor(options: CallerOptions) {
    this.#options = options;
    this.#places = new Places(options.callsMax);
  }

  /**
   * Its output. NerdctlError when it fails, TimeoutError past the limit; waiting in line is not
   * counted.
   */
  async call({ argv, env = {}, timeoutMs }: NerdctlCall): Promise<string> {
    const options = this.#options;
    const limitMs = timeoutMs ?? options.timeoutMs;
    return this.#places.with(async () => {
      const result = await options
        .run([...this.#command(), ...argv], {
          // What is in nerdctl's environment ends up in the container's OCI hooks: nothing of ours.
          cleanEnv: true,
          env: { ...this.#env(), ...env },
          timeoutMs: limitMs,
        })
        .catch((error: unknown) => {
          if (error instanceof TimeoutError) throw error;
          throw new NerdctlError(`start ${options.binary}: ${messageOf(error)}`, { cause: error });
        });
      if (result.exitCode !== 0) throw new NerdctlError(fatalMessage(result.stderr));
      return result.stdout;
    });
  }

  #command(): string[] {
    const { binary, address, namespace, dataRoot, hostsDirs } = this.#options;
    return [
      binary,
      "--address",
      address,
      "--namespace",
      namespace,
      "--data-root",
      dataRoot,
      // Its lock would make instances wait for each other in the default folder.
      "--cni-netconfpath",
      `${dataRoot}/cni`,
      // Its default under systemd wants slices; a pod's group is a plain path, as with kubelet's
      // cgroupfs.
      "--cgroup-manager",
      "cgroupfs",
      ...hostsDirs.flatMap((dir) => ["--hosts-dir", dir]),
    ];
  }

  #env(): Record<string, string> {
    const { dataRoot } = this.#options;
    return {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      HOME: dataRoot,
      DOCKER_CONFIG: `${dataRoot}/docker`,
    };
  }
}
