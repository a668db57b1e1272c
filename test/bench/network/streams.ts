/** Bytes of TCP streams between namespaces, by iperf3. */
import type { Run } from "#base/process.ts";
import { measuring } from "#test/bench/ends.ts";
import { quantile } from "#test/bench/network/rows.ts";
import { must } from "#test/host/network/site.ts";

const SECONDS = "1";
const LISTENS_MS_MAX = 5_000;

export interface Stream {
  gigabits: number;
  /** Of both ends and of the kernel in between, a gigabyte: other programs hardly change it. */
  cpuSeconds: number;
}

/** What iperf3 tells of one stream. */
interface Told {
  end: {
    sum_received: { bits_per_second: number; seconds: number; bytes: number };
    cpu_utilization_percent: { host_total: number; remote_total: number };
  };
}

export async function stream(from: Run, to: string): Promise<Stream> {
  const text = await must(from, ["iperf3", "-c", to, "-t", SECONDS, "-J"]);
  const { sum_received: sum, cpu_utilization_percent: cpu } = (JSON.parse(text) as Told).end;
  const busy = ((cpu.host_total + cpu.remote_total) / 100) * sum.seconds;
  return { gigabits: sum.bits_per_second / 1e9, cpuSeconds: busy / (sum.bytes / 1e9) };
}

export const middle = (streams: readonly Stream[]): Stream => ({
  gigabits: quantile(
    streams.map(({ gigabits }) => gigabits),
    0.5,
  ),
  cpuSeconds: quantile(
    streams.map(({ cpuSeconds }) => cpuSeconds),
    0.5,
  ),
});

/** A server in a namespace, and its end. Resolves when it listens. */
export async function streamServer(netnsPath: string): Promise<() => Promise<void>> {
  const inside = ["nsenter", `--net=${netnsPath}`];
  const child = measuring(() =>
    Bun.spawn([...inside, "iperf3", "-s"], { stdout: "ignore", stderr: "ignore" }),
  );
  const end = performance.now() + LISTENS_MS_MAX;
  const listening = [...inside, "ss", "-Hltn", "sport", "=", ":5201"];
  while (Bun.spawnSync(listening).stdout.length === 0) {
    if (performance.now() > end) throw new Error("iperf3 does not listen");
    await Bun.sleep(20);
  }
  return async () => {
    child.kill();
    await child.exited;
  };
}
