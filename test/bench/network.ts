/**
 * The network's figures on this machine, each beside its yardstick in the same run, in namespaces
 * of the measurement's own. Other programs on the machine change them: ratios are what counts.
 *
 *   bun run bench:network [--only services,spread,dns,busy,throughput,rolling,ingress]
 *
 * Needs root, dnsperf, iperf3, wrk, perl, iptables, nft; `busy` and `rolling` also containerd and
 * dist/bramble.
 */
import { existsSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { endProcess, measureAll, owned, whenOver } from "#test/bench/ends.ts";
import { benchDir, forget } from "#test/bench/machine.ts";
import { busyRows } from "#test/bench/network/busy.ts";
import { dnsRows } from "#test/bench/network/dns.ts";
import { rollingRows } from "#test/bench/network/rolling.ts";
import { type Row, tableOf } from "#test/bench/network/rows.ts";
import { serviceRows, spreadRows } from "#test/bench/network/services.ts";
import { throughputRows } from "#test/bench/network/throughput.ts";
import { openSite, type Site, type SiteNode, type SitePod } from "#test/host/network/site.ts";

const PARTS = ["services", "spread", "dns", "busy", "throughput", "rolling", "ingress"] as const;
const PODS = ["b", "c", "d", "e", "f"];

/** What a part says beside rows. */
const notes: string[] = [];

type SiteRows = (site: Site, client: SitePod, pods: readonly SitePod[]) => Promise<Row[]>;

/** One node. */
async function onSite(rows: (site: Site) => Promise<Row[]>): Promise<Row[]> {
  const [site, close] = await owned(
    () => openSite(1),
    (each) => each.close(),
  );
  try {
    return await rows(site);
  } finally {
    await close();
  }
}

/** A client's pod and five that serve. */
function withPods(rows: SiteRows): Promise<Row[]> {
  return onSite(async (site) => {
    const [node] = site.nodes as [SiteNode];
    const client = await site.pod(node, "a");
    const pods: SitePod[] = [];
    for (const name of PODS) pods.push(await site.pod(node, name));
    return rows(site, client, pods);
  });
}

async function dns(): Promise<Row[]> {
  const dir = benchDir("dns");
  const end = whenOver(() => forget(dir));
  const rows = await onSite((site) => dnsRows(site, dir));
  await end();
  return rows;
}

/** The Ingress has a measurement of its own, with Caddy and HAProxy beside it: its text follows. */
async function ingress(): Promise<Row[]> {
  const program = join(import.meta.dir, "ingress.ts");
  if (!existsSync(program)) return [];
  // It ends what it started by itself when it is told to.
  const child = Bun.spawn([process.execPath, program], { stdout: "pipe", stderr: "inherit" });
  const end = whenOver(() => endProcess(child));
  notes.push(await new Response(child.stdout).text());
  if ((await child.exited) !== 0) throw new Error("the Ingress was not measured");
  await end();
  return [];
}

const measures: Record<(typeof PARTS)[number], () => Promise<Row[]>> = {
  services: () => withPods(serviceRows),
  spread: () => withPods(spreadRows),
  dns,
  busy: busyRows,
  throughput: throughputRows,
  rolling: rollingRows,
  ingress,
};

const { values: flags } = parseArgs({
  options: { only: { type: "string", default: PARTS.join(",") } },
});
await measureAll(async () => {
  const rows: Row[] = [];
  for (const part of PARTS) {
    if (!flags.only.split(",").includes(part)) continue;
    console.error(`… ${part} (load ${loadavg()[0]?.toFixed(1)})`);
    rows.push(...(await measures[part]()));
  }
  console.log([tableOf(rows), ...notes].join("\n\n"));
  process.exitCode = rows.every(({ met }) => met !== false) ? 0 : 1;
});
