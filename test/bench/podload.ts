/** Pods through the API beside plain `nerdctl run -d` of the same image, in turns. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { realClock, sleep } from "#base/clock.ts";
import { linesOf } from "#test/bench/apiload.ts";
import { ByHand, dropByHand } from "#test/bench/byhand.ts";
import { dropCniRules, sharedChains } from "#test/bench/cnirules.ts";
import { whenOver } from "#test/bench/ends.ts";
import { imageOf } from "#test/bench/image.ts";
import { benchDir, forget, takeMachine } from "#test/bench/machine.ts";
import { processesWith } from "#test/bench/process.ts";
import { loadProgram, must, tidy } from "#test/bench/programs.ts";
import type { Target } from "#test/bench/server.ts";
import { median } from "#test/bench/statistics.ts";
import type { PrivateContainerd } from "#test/support/containerd.ts";

export interface Pods {
  /** Medians over the rounds, milliseconds. */
  readonly readyMs: number;
  readonly goneMs: number;
  readonly nerdctlMs: number;
  /** Of readyMs and nerdctlMs of the same round. */
  readonly ratio: number;
  readonly burstPerSecond: number;
  readonly deploymentPerSecond: number;
  /** Without an API, on the same machine in the same run, in turns with `burstPerSecond`. */
  readonly byHandPerSecond: number;
  /** Median of the rounds' ratios: how many times as fast as by hand. */
  readonly byHandRatio: number;
}

interface Line {
  op: string;
  n: number;
  p50_ms: number;
  per_s: number;
}

const AT_A_TIME = 5;
/** What podbench starts at once. */
const BURST = 30;
/** Of one call of podbench, which waits for its pods as long as it takes. */
const PODBENCH_MS_MAX = 240_000;
const BRIDGE = "bram-bench0";
const NETWORK = "bench";
/** The first three of four numbers. */
const SUBNET = "10.214.0.";

/** What nerdctl itself makes for its default network, but with names and a range of ours. */
const network = (dir: string) => ({
  cniVersion: "1.0.0",
  name: NETWORK,
  plugins: [
    {
      type: "bridge",
      bridge: BRIDGE,
      isGateway: true,
      ipMasq: true,
      hairpinMode: true,
      ipam: {
        type: "host-local",
        dataDir: join(dir, "leases"),
        ranges: [[{ subnet: `${SUBNET}0/24`, gateway: `${SUBNET}1` }]],
        routes: [{ dst: "0.0.0.0/0" }],
      },
    },
    { type: "portmap", capabilities: { portMappings: true } },
    { type: "firewall", ingressPolicy: "same-bridge" },
    { type: "tuning" },
  ],
});

const HOOK_MS_MAX = 5_000;

/** Hooks of a container's start outlive whoever started it, and make rules until they end. */
async function hooksOver(dir: string): Promise<void> {
  const end = performance.now() + HOOK_MS_MAX;
  while (performance.now() < end && processesWith(dir).length > 0) await sleep(realClock, 100);
}

async function dropNetwork(chains: readonly string[]): Promise<void> {
  await tidy(["sh", "-c", `ip link del ${BRIDGE} 2>/dev/null || true`]);
  await dropCniRules({ mark: "yardstick-", bridge: BRIDGE, subnet: SUBNET }, chains);
}

/**
 * Before the containerd whose containers use it, so that it goes after them. The answer is its
 * folder. @throws where another measurement has it.
 */
export async function reserveNetwork(): Promise<string> {
  await takeMachine();
  await dropByHand();
  // A killed measurement left it, and its chains with it.
  if (existsSync(`/sys/class/net/${BRIDGE}`)) await dropNetwork([]);
  const chains = await sharedChains();
  const dir = benchDir("cni");
  whenOver(async () => {
    await hooksOver(dir);
    await dropNetwork(chains);
    forget(dir);
  });
  writeFileSync(join(dir, "bench.conflist"), JSON.stringify(network(dir)));
  return dir;
}

/** Plain nerdctl, in a namespace and a network of its own. */
class Yardstick {
  readonly #nerdctl: string[];

  constructor(containerd: PrivateContainerd, dir: string) {
    this.#nerdctl = [
      ["nerdctl", "--address", containerd.address, "--namespace", "yardstick"],
      ["--data-root", join(dir, "nerdctl"), "--cni-netconfpath", dir],
      ["--cni-path", process.env["CNI_PATH"] ?? "/usr/lib/cni"],
    ].flat();
  }

  static async open(containerd: PrivateContainerd, dir: string): Promise<Yardstick> {
    const self = new Yardstick(containerd, dir);
    await must([...self.#nerdctl, "load", "-i", (await imageOf()).path]);
    return self;
  }

  /** Milliseconds of each of `count` runs. */
  async run(count: number): Promise<number[]> {
    const { name } = await imageOf();
    const took: number[] = [];
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      const what = ["--network", NETWORK, "--pull", "never", name, "sleep", "100000"];
      const id = (await must([...this.#nerdctl, "run", "-d", ...what])).trim();
      took.push(performance.now() - start);
      await must([...this.#nerdctl, "rm", "-f", id]);
    }
    return took;
  }
}

async function podbench(target: Target, round: number, flags: string[]): Promise<Line[]> {
  const program = await loadProgram("podbench");
  const { name } = await imageOf();
  const at = ["-server", target.url, "-token", target.token, "-image", name];
  const argv = [program, ...at, "-ns", `podbench-${round}`, ...flags];
  return linesOf<Line>(await must(argv, { timeout: PODBENCH_MS_MAX }));
}

const find = (lines: readonly Line[], op: string): Line => {
  const line = lines.find((each) => each.op === op);
  if (line === undefined) throw new Error(`podbench did not measure ${op}`);
  return line;
};

export interface PodLoad {
  readonly containerd: PrivateContainerd;
  /** Of `reserveNetwork`. */
  readonly network: string;
  readonly rounds: number;
}

export async function podLoad(target: Target, load: PodLoad): Promise<Pods> {
  const { containerd, rounds } = load;
  const yardstick = await Yardstick.open(containerd, load.network);
  const serial = ["-serial", String(AT_A_TIME), "-burst", "0", "-replicas", "0"];
  const seen: Array<{ ready: number; gone: number; plain: number }> = [];
  // The first round warms both up.
  for (let round = 0; round <= rounds; round++) {
    const plain = median(await yardstick.run(AT_A_TIME));
    const lines = await podbench(target, round, serial);
    const ready = find(lines, "serial-ready").p50_ms;
    const gone = find(lines, "serial-gone").p50_ms;
    if (round > 0) seen.push({ ready, gone, plain });
  }
  const hand = await ByHand.open(containerd, load.network);
  const bursts: Array<{ ours: number; byHand: number; deployment: number }> = [];
  for (let round = 0; round < rounds; round++) {
    const byHand = await hand.burst(BURST);
    const many = await podbench(target, rounds + 1 + round, ["-serial", "1"]);
    const ours = find(many, "burst-ready").per_s;
    bursts.push({ ours, byHand, deployment: find(many, "deployment-ready").per_s });
  }
  return {
    readyMs: median(seen.map(({ ready }) => ready)),
    goneMs: median(seen.map(({ gone }) => gone)),
    nerdctlMs: median(seen.map(({ plain }) => plain)),
    ratio: median(seen.map(({ ready, plain }) => ready / plain)),
    burstPerSecond: median(bursts.map(({ ours }) => ours)),
    deploymentPerSecond: median(bursts.map(({ deployment }) => deployment)),
    byHandPerSecond: median(bursts.map(({ byHand }) => byHand)),
    byHandRatio: median(bursts.map(({ ours, byHand }) => ours / byHand)),
  };
}
