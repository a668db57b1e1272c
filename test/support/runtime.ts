/** A real runtime on a containerd of its own, with a network namespace and a control group. */
import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createNerdctl } from "#agents/runtime/nerdctl.ts";
import type { ContainerSpec, RuntimeEvent } from "#agents/runtime/runtime.ts";
import { realClock, sleep } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { runProcess } from "#base/process.ts";
import { type PrivateContainerd, startContainerd } from "#test/support/containerd.ts";
import { plainContainer } from "#test/support/containerspec.ts";
import { BUSYBOX, busyboxTar } from "#test/support/images.ts";

type NerdctlRuntime = ReturnType<typeof createNerdctl>;

export interface HostRuntime {
  readonly containerd: PrivateContainerd;
  readonly runtime: NerdctlRuntime;
  /** Another runtime over the same containerd, as a restarted agent makes one. */
  another(options?: Partial<Parameters<typeof createNerdctl>[0]>): NerdctlRuntime;
  /** Runs `sh -c SCRIPT`, the rest as given. */
  spec(script: string, rest?: Partial<ContainerSpec>): ContainerSpec;
  /** A container's log, once it holds `text`; fails after five seconds. */
  logWith(logPath: string, text: string): Promise<string>;
  readonly events: RuntimeEvent[];
  /** The first event that fits, also one that came before. */
  event(fits: (event: RuntimeEvent) => boolean): Promise<RuntimeEvent>;
  /** Network namespace for the containers. */
  readonly netns: string;
  readonly cgroup: string;
  close(): Promise<void>;
}

const WAIT_MS_MAX = 60_000;

/** Until `look` finds something. The state of another program has no event to wait for. */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const end = performance.now() + WAIT_MS_MAX;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`waited ${WAIT_MS_MAX} ms for ${what}`);
    await sleep(realClock, 10);
  }
}

const CGROUPS = "/sys/fs/cgroup";

function cgroupTrees(): string[] {
  const names = readdirSync(CGROUPS);
  return names.includes("cgroup.controllers")
    ? [CGROUPS]
    : names.map((name) => `${CGROUPS}/${name}`);
}

/** Ends what is still in the group; its removal may have to wait for that. */
async function removeCgroup(path: string): Promise<void> {
  const remove = (dir: string): void => {
    try {
      for (const child of readdirSync(dir, { withFileTypes: true })) {
        if (child.isDirectory()) remove(`${dir}/${child.name}`);
      }
      // A frozen process does not end.
      const freezer = `${dir}/freezer.state`;
      if (existsSync(freezer)) writeFileSync(freezer, "THAWED");
      const pids = readFileSync(`${dir}/cgroup.procs`, "utf8").split("\n").filter(Boolean);
      for (const pid of pids) process.kill(Number(pid), "SIGKILL");
      rmdirSync(dir);
    } catch {
      // This controller never had it, or its processes are about to end.
    }
  };
  const dirs = cgroupTrees().map((tree) => `${tree}${path}`);
  for (let round = 0; round < 50 && dirs.some((dir) => existsSync(dir)); round++) {
    dirs.forEach(remove);
    if (dirs.some((dir) => existsSync(dir))) await sleep(realClock, 20);
  }
}

/** Takes away what test runs left that were killed themselves: their process id is in the name. */
async function sweep(): Promise<void> {
  const dead = (name: string) => {
    const owner = /^bt-(\d+)-/.exec(name)?.[1];
    return owner !== undefined && !existsSync(`/proc/${owner}`);
  };
  const namespaces = existsSync("/run/netns") ? readdirSync("/run/netns") : [];
  for (const name of namespaces.filter(dead)) Bun.spawnSync(["ip", "netns", "del", name]);
  const groups = new Set(cgroupTrees().flatMap((tree) => readdirSync(tree)));
  for (const name of [...groups].filter(dead)) await removeCgroup(`/${name}`);
}

function specMaker(dir: string, netns: string, cgroup: string): HostRuntime["spec"] {
  let count = 0;
  return (script, rest = {}) => {
    const name = `c${count++}`;
    return {
      ...plainContainer,
      image: BUSYBOX,
      labels: { "bramble.dev/uid": name },
      group: name,
      network: { namespacePath: `/run/netns/${netns}` },
      hostname: name,
      entrypoint: ["sh", "-c", script],
      logPath: `${dir}/logs/${name}.log`,
      cgroupParent: `${cgroup}/${name}`,
      ...rest,
    };
  };
}

/** With the busybox image loaded. Must be closed. */
export async function startHostRuntime(name: string): Promise<HostRuntime> {
  if (Bun.which("nerdctl") === null) throw new Error("nerdctl is missing");
  const tar = await busyboxTar();
  const containerd = await startContainerd(name);
  await sweep();
  const tag = `bt-${process.pid}-${Math.floor(performance.now())}`;
  const cgroup = `/${tag}`;
  const runtimes: NerdctlRuntime[] = [];
  const stop = new AbortController();
  const events: RuntimeEvent[] = [];
  const another: HostRuntime["another"] = (options = {}) => {
    const made = createNerdctl({
      run: runProcess,
      binary: "nerdctl",
      address: containerd.address,
      namespace: containerd.namespace,
      dataRoot: `${containerd.dir}/nerdctl`,
      runDir: `${containerd.dir}/run`,
      log: silentLog,
      clock: realClock,
      ...options,
    });
    runtimes.push(made);
    return made;
  };
  const close = async () => {
    stop.abort();
    for (const each of runtimes) each.close();
    await containerd.close();
    Bun.spawnSync(["ip", "netns", "del", tag]);
    await removeCgroup(cgroup);
  };
  try {
    const added = Bun.spawnSync(["ip", "netns", "add", tag], { stderr: "pipe" });
    if (added.exitCode !== 0) throw new Error(`ip netns add: ${added.stderr.toString()}`);
    const runtime = another();
    runtime.watch((event) => events.push(event), stop.signal);
    await eventually("the event stream", () => events.find((each) => each.type === "reconnected"));
    await runtime.load(tar);
    return {
      containerd,
      runtime,
      another,
      spec: specMaker(containerd.dir, tag, cgroup),
      logWith: (path, text) =>
        eventually(`${JSON.stringify(text)} in ${path}`, async () => {
          const log = await readFile(path, "utf8").catch(() => "");
          return log.includes(text) ? log : undefined;
        }),
      events,
      event: (fits) => eventually("an event", () => events.find(fits)),
      netns: tag,
      cgroup,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
