/**
 * Runs in a node's namespace: the node's DNS over 1,000 Services of a small API in this process.
 * Prints `ready` once it answers; ends with its standard input.
 */
import { createDnsAgent } from "#agents/dns/agent.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { runProcess } from "#base/process.ts";
import { realRandom } from "#base/random.ts";
import { createCaches } from "#client/cache.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { services } from "#resources/kinds/service.ts";
import { FakeApi } from "#test/support/fakeapi.ts";
import { service } from "#test/unit/agents/proxy/build.ts";

const api = new FakeApi();
api.put(namespaces, { metadata: { name: "default" } });
for (let i = 0; i < 1_000; i++) {
  const clusterIP = `10.43.${1 + Math.floor(i / 250)}.${1 + (i % 250)}`;
  api.put(services, service(`s${i}`, { clusterIP, clusterIPs: [clusterIP] }));
}
const common = { clock: realClock, log: silentLog };
const agent = createDnsAgent({
  ...common,
  run: runProcess,
  caches: createCaches({ ...common, client: api.client }),
  address: "10.43.0.10",
  domain: "cluster.local",
  cidrs: ["10.43.0.0/16", "10.42.0.0/16"],
  random: realRandom,
});
const stop = new AbortController();
await agent.start(stop.signal);
process.stdout.write("ready\n");
for await (const _ of Bun.stdin.stream());
stop.abort();
process.exit(0);
