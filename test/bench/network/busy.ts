/** The node's DNS in the same process as an API at full load, beside the same process at rest. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { apiLoad } from "#test/bench/apiload.ts";
import { answerTimes } from "#test/bench/network/dns.ts";
import { quantile, type Row, time } from "#test/bench/network/rows.ts";
import { BRAMBLE } from "#test/bench/programs.ts";
import { ask, startServer } from "#test/bench/server.ts";
import { startContainerd } from "#test/support/containerd.ts";

const DNS = "10.213.0.10";
const PER_SECOND = "200";

/** Answer times in milliseconds, from here to the server's own address. */
async function times(names: string, seconds: string): Promise<number[]> {
  const flags = ["-d", names, "-l", seconds, "-Q", PER_SECOND, "-q", "50", "-T", "1", "-v"];
  const child = Bun.spawn(["dnsperf", "-s", DNS, ...flags], { stdout: "pipe", stderr: "inherit" });
  const text = await new Response(child.stdout).text();
  await child.exited;
  return answerTimes(text);
}

export async function busyRows(): Promise<Row[]> {
  const dir = mkdtempSync(join(tmpdir(), "bramble-benchbusy-"));
  const containerd = await startContainerd("bench");
  const server = await startServer({ binary: BRAMBLE, containerd });
  try {
    const names = join(dir, "names");
    writeFileSync(names, "kubernetes.default.svc.cluster.local A\n");
    // The node's part of the server follows the API by a moment.
    for (let i = 0; i < 100 && (await times(names, "1")).length === 0; i++) await Bun.sleep(100);
    const idle = await times(names, "5");
    let over = false;
    const load = apiLoad(server, 1).finally(() => {
      over = true;
    });
    const busy: number[] = [];
    while (!over) busy.push(...(await times(names, "2")));
    const loads = await load;
    const answered = await ask(server, "/readyz");
    const p99 = quantile(busy, 0.99);
    return [
      {
        what: "DNS on the server's node while apibench loads the API, p99",
        measured: `${time(p99)} of ${busy.length} answers (${Math.round(loads["create"]?.perSecond ?? 0)} creates/s)`,
        floor: "10 ms",
        yardstick: `idle: ${time(quantile(idle, 0.99))}`,
        met: answered?.ok === true && busy.length > 0 && p99 <= 10,
      },
    ];
  } finally {
    await server.end();
    await containerd.close();
    rmSync(dir, { recursive: true, force: true });
  }
}
