/** bramble adopt NAME --code C */
import { browse, type FoundService } from "#agents/discovery/agent.ts";
import { nodeKeySecret } from "#agents/join/admit.ts";
import { handOver, isCode } from "#agents/join/pairing.ts";
import { formatToken } from "#agents/join/token.ts";
import { realClock } from "#base/clock.ts";
import { OperatorError, UsageError } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import { realRandom } from "#base/random.ts";
import { connect } from "#cli/connect.ts";
import type { CliIo, VerbModule } from "#cli/verb.ts";
import type { Client } from "#client/client.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { nodes } from "#resources/kinds/node.ts";
import { secrets } from "#resources/kinds/secret.ts";
import { serverUrls } from "../published.ts";
import { KUBERNETES } from "../readdress.ts";
import { makeToken } from "../tokens.ts";

interface AdoptOptions {
  kubeconfig?: string;
  code?: string;
  address?: string;
}

const urlOf = (scheme: string, address: string, port: number): string =>
  `${scheme}://${address.includes(":") ? `[${address}]` : address}:${port}`;

/** The waiting device of this name, and servers of this cluster that are seen with it. */
async function lookFor(name: string, caSha256: string) {
  const enough = new AbortController();
  const servers = new Set<string>();
  const devices = new Map<string, FoundService>();
  await browse({
    timeoutMs: limits.browseMs,
    signal: enough.signal,
    clock: realClock,
    log: silentLog,
    onFound(service) {
      if (service.role === "server" && service.caSha256 === caSha256) {
        for (const one of service.addresses) servers.add(urlOf("https", one, service.port));
      }
      if (service.role === "device") devices.set(service.instance, service);
    },
  });
  const named = [...devices.values()].filter((device) => device.name === name);
  if (named.length > 1) {
    const places = named.map(({ addresses, port }) => `${addresses[0]}:${port}`).join(", ");
    throw new OperatorError(`several devices are called ${name}: ${places}`, {
      hint: "say which one: --address IP:PORT",
    });
  }
  const others = [...devices.values()].map((device) => device.name).join(", ") || "none";
  return { device: named[0], servers: [...servers], others };
}

/** Of several networks that a device is on, the server may be on one; the first stands for none. */
async function reached(urls: readonly string[]): Promise<string | undefined> {
  const asks = urls.map(async (url) => {
    await fetch(url, { signal: AbortSignal.timeout(limits.serverAnswerMsMax) });
    return url;
  });
  return Promise.any(asks).catch(() => urls[0]);
}

async function refuseTaken(client: Client, name: string): Promise<void> {
  const ref = { namespace: "kube-system", name: nodeKeySecret(name) };
  const known = (await client.get(secrets, ref)) ?? (await client.get(nodes, { name }));
  if (known === undefined) return;
  throw new OperatorError(`the name ${name} belongs to a device that joined before`, {
    hint: `if this is the same one with a new disk: bramble node remove ${name}, then again`,
  });
}

/** Until the device has joined with its own key. */
async function joined(client: Client, name: string): Promise<boolean> {
  const ref = { namespace: "kube-system", name: nodeKeySecret(name) };
  const deadline = realClock.monotonic() + limits.adoptMsMax;
  while (realClock.monotonic() < deadline) {
    if ((await client.get(secrets, ref)) !== undefined) return true;
    await Bun.sleep(limits.adoptLookMs);
  }
  return false;
}

/** `IP:PORT` as a URL. */
function deviceAt(address: string): string {
  const url = URL.parse(`http://${address}`);
  if (url !== null && url.port !== "" && url.href === `http://${url.host}/`) return url.origin;
  throw new UsageError(`--address: "${address}" must be IP:PORT, as the device's log has it`);
}

interface Adoption {
  name: string;
  code: string;
  /** Where the device is; undefined: it is looked for by mDNS. */
  url: string | undefined;
}

/** Gives the device a token; returns when it has it. */
async function handToken(client: Client, { name, code, ...given }: Adoption, nowMs: number) {
  const about = { uses: 1, nodeName: name, expiresAtMs: nowMs + limits.adoptTokenMs };
  const token = await makeToken(client, realRandom, { ...about, description: `adopt ${name}` });
  const { device, servers, others } = await lookFor(name, token.caSha256);
  const { addresses = [], port = 0 } = device ?? {};
  const url = given.url ?? (await reached(addresses.map((one) => urlOf("http", one, port))));
  if (url === undefined) {
    throw new OperatorError(`no waiting device ${name} is seen; waiting: ${others}`, {
      hint: "start `bramble agent` on it, or say where it is: --address IP:PORT",
    });
  }
  // Where mDNS does not reach the device, it would not find a server by it.
  const published = serverUrls(await client.get(endpointSlices, KUBERNETES));
  const parcel = { token: formatToken(token), servers: [...new Set([...servers, ...published])] };
  await handOver({ url, name }, code, parcel, realRandom);
}

async function adopt(name: string, options: AdoptOptions, io: CliIo): Promise<void> {
  const { code, address } = options;
  if (code === undefined) throw new UsageError("--code: give the code that the device shows");
  if (!isCode(code)) throw new UsageError(`--code: "${code}" must be six letters, as abc-def`);
  const url = address === undefined ? undefined : deviceAt(address);
  const { client } = connect({ kubeconfig: options.kubeconfig, env: io.env });
  await refuseTaken(client, name);
  await handToken(client, { name, code, url }, io.now());
  io.out(`${name} has what it needs to join\n`);
  if (!(await joined(client, name))) {
    throw new OperatorError(`${name} has not joined yet`, { hint: "its log says why" });
  }
  io.out(`${name} joined\n`);
}

export const define: VerbModule["define"] = (command, io) => {
  command
    .argument("<name>", "the device, as `bramble discover` lists it")
    .option("--code <code>", "the pairing code that the device shows")
    .option("--address <ip:port>", "where it is, when mDNS does not reach it")
    .option("--kubeconfig <file>", "kubeconfig to use")
    .action((name: string, options: AdoptOptions) => adopt(name, options, io));
};
