/**
 * The network's figures on this machine, each beside its yardstick in the same run, in namespaces
 * of the measurement's own. Other programs on the machine change them: ratios are what counts.
 *
 *   bun run bench:network [--only services,spread,dns,busy,throughput,rolling,ingress]
 *
 * Needs root, dnsperf, iperf3, wrk, perl, iptables, nft; `busy` and `rolling` also containerd and
 * dist/bramble.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
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

/** A node with a client's pod and five that serve. */
async function onSite(rows: SiteRows): Promise<Row[]> {
  const site = await openSite(1);
  try {
    const [node] = site.nodes as [SiteNode];
    const client = await site.pod(node, "a");
    const pods: SitePod[] = [];
    for (const name of PODS) pods.push(await site.pod(node, name));
    return await rows(site, client, pods);
  } finally {
    await site.close();
  }
}

async function dns(): Promise<Row[]> {
  const dir = mkdtempSync(join(tmpdir(), "bramble-benchdns-"));
  const site = await openSite(1);
  try {
    return await dnsRows(site, dir);
  } finally {
    await site.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The Ingress has a measurement of its own, with Caddy and HAProxy beside it: its text follows. */
async function ingress(): Promise<Row[]> {
  const program = join(import.meta.dir, "ingress.ts");
  if (!existsSync(program)) return [];
  const child = Bun.spawn([process.execPath, program], { stdout: "pipe", stderr: "inherit" });
  notes.push(await new Response(child.stdout).text());
  if ((await child.exited) !== 0) throw new Error("the Ingress was not measured");
  return [];
}

const measures: Record<(typeof PARTS)[number], () => Promise<Row[]>> = {
  services: () => onSite(serviceRows),
  spread: () => onSite(spreadRows),
  dns,
  busy: busyRows,
  throughput: throughputRows,
  rolling: rollingRows,
  ingress,
};

const { values: flags } = parseArgs({
  options: { only: { type: "string", default: PARTS.join(",") } },
});
const rows: Row[] = [];
for (const part of PARTS) {
  if (!flags.only.split(",").includes(part)) continue;
  console.error(`… ${part} (load ${loadavg()[0]?.toFixed(1)})`);
  rows.push(...(await measures[part]()));
}
console.log([tableOf(rows), ...notes].join("\n\n"));
process.exit(rows.every(({ met }) => met !== false) ? 0 : 1);
