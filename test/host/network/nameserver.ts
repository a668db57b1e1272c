/**
 * Runs on a node: the product's DNS agent over objects that come as lines of JSON on stdin. Each
 * line is answered by one on stdout when it is in force. With the argument `upstream`: a plain
 * server instead.
 */
import { createDnsAgent } from "#agents/dns/agent.ts";
import { createIptablesWriter } from "#agents/network/iptables.ts";
import { must } from "#base/assert.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { runProcess } from "#base/process.ts";
import { realRandom } from "#base/random.ts";
import { createCaches } from "#client/cache.ts";
import type { Kind } from "#resources/kind.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { services } from "#resources/kinds/service.ts";
import { FakeApi } from "#test/support/fakeapi.ts";
import { startNameUpstream } from "#test/support/nameupstream.ts";

const KINDS: Record<string, Kind> = { services, endpointSlices, namespaces };
const say = (line: string) => process.stdout.write(`${line}\n`);

async function serveUpstream(): Promise<void> {
  await startNameUpstream("0.0.0.0", 53);
  say("ready");
}

async function serveCluster(resolvConf: string, address: string): Promise<void> {
  const api = new FakeApi();
  const caches = createCaches({ client: api.client, clock: realClock, log: silentLog });
  const common = { run: runProcess, log: silentLog };
  const writer = createIptablesWriter({ ...common, instance: "site", owners: ["dns"] });
  const agent = createDnsAgent({
    ...common,
    writers: { IPv4: writer },
    caches,
    address,
    domain: "cluster.local",
    cidrs: ["10.42.0.0/16", "10.43.0.0/16"],
    resolvConf,
    clock: realClock,
    random: realRandom,
  });
  await agent.start(new AbortController().signal);
  say("ready");
  for await (const line of console) {
    const { kind: plural, object } = JSON.parse(line) as { kind: string; object: object };
    const kind = must(KINDS[plural], plural);
    const seen = Promise.withResolvers<void>();
    const end = caches.of(kind).onChange(() => seen.resolve());
    api.put(kind, object);
    await seen.promise;
    end();
    say("done");
  }
}

const [what = "", resolvConf = "", address = "10.43.0.10"] = process.argv.slice(2);
await (what === "upstream" ? serveUpstream() : serveCluster(resolvConf, address));
