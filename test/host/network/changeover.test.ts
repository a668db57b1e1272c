/** From rules of iptables to maps of nft and back, as Services come and go, with traffic on. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createIptablesWriter } from "#agents/network/iptables.ts";
import { createNftablesWriter } from "#agents/network/nftables.ts";
import { createProxyAgent, type ProxyAgent } from "#agents/proxy/agent.ts";
import { realClock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import { createCaches } from "#client/cache.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { services } from "#resources/kinds/service.ts";
import { must, openSite, type Site, type SiteNode, type SitePod } from "#test/host/network/site.ts";
import { caughtUp } from "#test/support/caughtup.ts";
import { FakeApi } from "#test/support/fakeapi.ts";
import { service, slice } from "#test/unit/agents/proxy/build.ts";

/** Connects anew each time until its input ends; prints how many came through and how many not. */
const CLIENT = `
  let over = false;
  const [good, bad] = [{ count: 0 }, { count: 0, why: "" }];
  const ask = async () => {
    while (!over) {
      try {
        const signal = AbortSignal.timeout(20_000);
        const answer = await fetch(process.argv.at(-1), { keepalive: false, signal });
        if ((await answer.text()).length > 0) good.count++;
      } catch (error) {
        bad.count++;
        bad.why = String(error.code ?? error.name);
      }
      await Bun.sleep(2);
    }
  };
  const asking = ask();
  console.log("asking");
  for await (const _ of Bun.stdin.stream());
  over = true;
  await asking;
  console.log(JSON.stringify([good.count, bad.count, bad.why]));
`;

let site: Site;
let node: SiteNode;
let client: SitePod;
let proxy: ProxyAgent;
const api = new FakeApi();
const stop = new AbortController();
const caches = createCaches({ client: api.client, clock: realClock, log: silentLog });

const ipOf = (i: number): string => `10.43.${1 + Math.floor(i / 250)}.${1 + (i % 250)}`;

async function settled(): Promise<void> {
  await caughtUp(api, caches, services, endpointSlices);
  await Bun.sleep(20);
  await proxy.settled();
}

beforeAll(async () => {
  site = await openSite(1);
  [node] = site.nodes as [SiteNode];
  client = await site.pod(node, "a");
  const server = await site.pod(node, "b");
  api.put(services, service("s0", { clusterIP: ipOf(0) }));
  api.put(endpointSlices, slice("s0", [`${server.ip}@n1`]));
  const common = { run: node.run, log: silentLog, clock: realClock, instance: "change" };
  proxy = createProxyAgent({
    ...common,
    caches,
    nodeName: node.name,
    clusterCidr: "10.42.0.0/16",
    writers: { IPv4: createIptablesWriter({ ...common, owners: ["proxy"] }) },
    tables: { IPv4: createNftablesWriter({ ...common, family: "IPv4" }) },
    mode: "auto",
  });
  proxy.start(stop.signal);
  await settled();
}, 180_000);

afterAll(async () => {
  stop.abort();
  caches.stop();
  await site.close();
}, 180_000);

/** Which back end has the Services in the kernel. */
async function served(): Promise<string[]> {
  const rules = await must(node.run, ["iptables-save", "-t", "nat"]);
  const tables = await must(node.run, ["nft", "list", "tables"]);
  return [
    ...(rules.includes("BRAMBLE-change-SERVICES") ? ["iptables"] : []),
    ...(tables.includes("table ip bramble-change\n") ? ["nftables"] : []),
  ];
}

test("no connection is refused or lost while the Services change over, and back", async () => {
  const argv = [process.execPath, "-e", CLIENT, `http://${ipOf(0)}/`];
  const asking = Bun.spawn(["nsenter", `--net=${client.netnsPath}`, ...argv], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const told = asking.stdout.getReader();
  await told.read();
  expect(await served()).toEqual(["iptables"]);
  const many = limits.proxyMapsPorts;
  for (let i = 1; i < many; i++) api.put(services, service(`s${i}`, { clusterIP: ipOf(i) }));
  await settled();
  expect(await served()).toEqual(["nftables"]);
  // Some leeway on the way back.
  const gone = (i: number) => api.remove(`/api/v1/namespaces/default/services/s${i}`);
  for (let i = many - 1; i >= many / 2; i--) gone(i);
  await settled();
  expect(await served()).toEqual(["nftables"]);
  gone(many / 2 - 1);
  await settled();
  expect(await served()).toEqual(["iptables"]);
  asking.stdin.end();
  const [good, bad, why] = JSON.parse(new TextDecoder().decode((await told.read()).value));
  expect([bad, why]).toEqual([0, ""]);
  expect(good).toBeGreaterThan(20);
  await asking.exited;
}, 360_000);
