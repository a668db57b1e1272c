/**
 * Streams into pods: port-forward and the pod proxy reach the network of that pod and no other, and
 * above all never the node's own. exec, attach and logs reach the pod that the API meant.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { symlinkSync, writeFileSync } from "node:fs";
import type { TCPSocketListener } from "bun";
import { createNodeHandler } from "#agents/kubelet/server.ts";
import type { Sandbox } from "#agents/kubelet/types.ts";
import type { NodeLink } from "#api/nodes.ts";
import { must } from "#base/assert.ts";
import type { Channel } from "#base/channel.ts";
import { realClock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import { runProcess } from "#base/process.ts";
import type { PodSpec } from "#resources/types.gen.ts";
import { type Bench, container, startBench } from "#test/support/kubelet.ts";
import { OWN_ADDRESS } from "#test/support/ownaddress.ts";
import { eventually } from "#test/support/runtime.ts";

const NETNS = `bramble-attack-${process.pid}`;
const NETNS_PATH = `/run/netns/${NETNS}`;
const POD_PORT = 8080;
/** Listens on the pod's address and on its loopback, and says which. */
const IN_POD = `
for (const hostname of ["127.0.0.1", "10.42.0.77"]) {
  const socket = { data() {}, open: (s) => void s.end(hostname) };
  Bun.listen({ hostname, port: ${POD_PORT}, socket });
}
console.log("listening");`;

let bench: Bench;
let node: NodeLink;
/** Servers of the node, on loopback only. */
let victims: TCPSocketListener[];
let connections = 0;
let inPod: Bun.Subprocess<"ignore", "pipe", "inherit"> | undefined;

const victim = (hostname: string, port: number) =>
  Bun.listen({
    hostname,
    port,
    socket: {
      open(socket) {
        connections++;
        socket.end("secret of the node");
      },
      data() {},
    },
  });

async function ip(...argv: string[]): Promise<void> {
  const { exitCode, stderr } = await runProcess(["ip", ...argv]);
  if (exitCode !== 0) throw new Error(`ip ${argv.join(" ")}: ${stderr}`);
}

beforeAll(async () => {
  const first = victim("127.0.0.1", 0);
  victims = [first, victim("::1", first.port)];
  bench = await startBench();
  bench.addresses = [OWN_ADDRESS];
  await bench.advance(limits.nodeAddressMs + 1);
  const { kubelet, runtime } = bench;
  node = createNodeHandler({ kubelet, runtime, clock: realClock, log: silentLog });
  await ip("netns", "add", NETNS);
  await ip("-n", NETNS, "link", "set", "lo", "up");
  await ip("-n", NETNS, "address", "add", "10.42.0.77/32", "dev", "lo");
  const argv = ["ip", "netns", "exec", NETNS, process.execPath, "-e", IN_POD];
  inPod = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const reader = inPod.stdout.getReader();
  await reader.read();
});

afterAll(async () => {
  inPod?.kill();
  await inPod?.exited;
  for (const each of victims) each.stop(true);
  await bench.close();
  await ip("netns", "delete", NETNS);
});

async function textOf(channel: Channel): Promise<string> {
  let text = "";
  for await (const bytes of channel.messages) text += new TextDecoder().decode(bytes);
  return text;
}

/** Returns the data of one connection to a pod's port, or the error. */
async function heard(path: string): Promise<string> {
  try {
    return await textOf(await node.open(path));
  } catch (error) {
    return `failed: ${error}`;
  }
}

const WAYS = ["", "&proxy=1", "&proxy=1&tls=1"];

async function expectUnreachable(pod: string, uid = ""): Promise<void> {
  connections = 0;
  for (const way of WAYS) {
    const port = must(victims[0], "victim").port;
    expect(await heard(`/portForward/default/${pod}?port=${port}${way}${uid}`)).toStartWith(
      "failed: ",
    );
  }
  expect(connections).toBe(0);
}

function workerOf(name: string) {
  const all = [...bench.kubelet.workers.values()];
  return must(
    all.find(({ record }) => record.name === name),
    name,
  );
}

/** A running pod with that sandbox. */
async function podWith(name: string, netnsPath: string, spec: Partial<PodSpec> = {}) {
  await bench.create(name, spec);
  const { record } = workerOf(name);
  record.sandbox = { ...(record.sandbox as Sandbox), netnsPath, ips: ["10.42.0.77"] };
}

describe("the node's loopback is not reached by way of a pod", () => {
  test("that has no network yet", async () => {
    bench.network.fault = async () => {
      throw new Error("no address is left");
    };
    await bench.create("waiting", {});
    bench.network.fault = undefined;
    expect(workerOf("waiting").record.sandbox).toBeUndefined();
    await expectUnreachable("waiting");
  });

  test("that has ended", async () => {
    await bench.create("ended", { restartPolicy: "Never", containers: [container("ended")] });
    bench.runtime.end("ended", 0);
    await bench.settle();
    await eventually("its end", () => workerOf("ended").record.cleaned || undefined);
    await expectUnreachable("ended");
    // Another namespace may have the path now.
    await podWith("ended2", NETNS_PATH);
    workerOf("ended2").record.cleaned = true;
    expect(await heard(`/portForward/default/ended2?port=${POD_PORT}`)).toStartWith("failed: ");
  });

  test("whose record lost its network, or names another", async () => {
    writeFileSync(`${bench.dataDir}/file`, "");
    symlinkSync("/proc/self/ns/net", `${bench.dataDir}/link`);
    const paths = ["", "/proc/self/ns/net", "/proc/1/ns/net", `${bench.dataDir}/file`];
    for (const [index, path] of [...paths, `${bench.dataDir}/link`, "/run/netns/none"].entries()) {
      await podWith(`lost${index}`, path);
      await expectUnreachable(`lost${index}`);
    }
  });

  test("that is on the node's network", async () => {
    await bench.create("onnode", { hostNetwork: true });
    await expectUnreachable("onnode");
  });

  test("that is on the node's network and runs no more", async () => {
    const open = victim(OWN_ADDRESS, 0);
    const port = `?port=${open.port}`;
    expect(await heard(`/portForward/default/onnode${port}`)).toBe("secret of the node");
    const run = workerOf("onnode").record.containers["main"];
    delete run?.current;
    expect(await heard(`/portForward/default/onnode${port}`)).toStartWith("failed: ");
    open.stop(true);
  });
});

test("a pod's own network is reached, by the proxy at its address only", async () => {
  await podWith("web", NETNS_PATH);
  const path = `/portForward/default/web?port=${POD_PORT}`;
  expect(await heard(path)).toBe("127.0.0.1");
  expect(await heard(`${path}&proxy=1`)).toBe("10.42.0.77");
  await expectUnreachable("web");
  for (const port of ["0", "-1", "65536", "65616", "x", "", "8080.5", "1e4"]) {
    expect(await heard(`/portForward/default/web?port=${port}`)).toStartWith("failed: ");
  }
});

test("a pod of the same name that took its place is not meant", async () => {
  await podWith("again", NETNS_PATH);
  const { uid } = workerOf("again");
  const path = `/portForward/default/again?port=${POD_PORT}&uid=`;
  expect(await heard(path + uid)).toBe("127.0.0.1");
  expect(await heard(`${path}${crypto.randomUUID()}`)).toContain("not found");
  const other = `uid=${crypto.randomUUID()}`;
  for (const what of [
    `exec/default/again/main?command=id&${other}`,
    `attach/default/again/main?${other}`,
  ]) {
    await expect(node.open(`/${what}`)).rejects.toThrow("not found");
  }
  const logs = new Request(`http://node/containerLogs/default/again/main?${other}`);
  expect((await node.fetch(logs)).status).toBe(404);
});
