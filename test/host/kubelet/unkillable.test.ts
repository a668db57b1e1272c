/** Containers that no signal ends: their pods wait, and nobody else does. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { events } from "#resources/kinds/event.ts";
import { pods } from "#resources/kinds/pod.ts";
import { processesWith } from "#test/bench/process.ts";
import {
  eventually,
  type HostKubelet,
  shell,
  startHostKubelet,
  statusOf,
} from "#test/support/hostkubelet.ts";

setDefaultTimeout(720_000);

/** Of the node beside them; far below what a call that hangs may take. */
const OTHER_POD_MS_MAX = 28_000;
/** Its name is that of what `removeCgroup` takes away after a test that was killed itself. */
const FREEZER = `/sys/fs/cgroup/freezer/bt-${process.pid}-frozen`;

let k: HostKubelet;

beforeAll(async () => {
  k = await startHostKubelet("kubelet-unkillable");
});

afterAll(async () => {
  await k.close();
});

async function start(name: string): Promise<{ id: string; pid: number }> {
  await k.create(name, { containers: [shell("main", "exec sleep 1000000")] });
  const id = statusOf(await k.ready(name))?.containerID?.replace("containerd://", "") ?? "";
  const container = (await k.host.runtime.list()).find((each) => each.id === id);
  return { id, pid: container?.pid ?? 0 };
}

/** In a group of its own, as runc thaws that of the container before it kills. */
function freeze(pid: number): () => void {
  mkdirSync(FREEZER);
  writeFileSync(`${FREEZER}/cgroup.procs`, String(pid));
  writeFileSync(`${FREEZER}/freezer.state`, "FROZEN");
  return () => writeFileSync(`${FREEZER}/freezer.state`, "THAWED");
}

function stopShim(id: string): () => void {
  const shims = processesWith("containerd-shim", k.host.containerd.address, id);
  expect(shims.length).toBe(1);
  for (const pid of shims) process.kill(pid, "SIGSTOP");
  return () => {
    for (const pid of shims) process.kill(pid, "SIGCONT");
  };
}

const toldOf = (name: string, words: RegExp) =>
  eventually(`an event about ${name}`, async () => {
    const { items } = await k.client.list(events, { namespace: "default" });
    return items.find(
      ({ involvedObject, reason, message = "" }) =>
        involvedObject.name === name && reason === "FailedKillPod" && words.test(message),
    );
  });

/** A pod starts, is seen to die and is restarted, and goes, while others hang. */
async function othersGoOn(name: string): Promise<void> {
  const began = performance.now();
  const { id } = await start(name);
  await k.host.runtime.signal(id, "SIGKILL");
  await k.until(name, (pod) => statusOf(pod)?.restartCount === 1 && statusOf(pod)?.ready === true);
  await k.remove(name, 0);
  expect(performance.now() - began).toBeLessThan(OTHER_POD_MS_MAX);
}

test("pods whose container cannot be killed are told of, and hold up no other", async () => {
  const frozen = await start("frozen");
  const hung = await start("hung");
  const undo = [freeze(frozen.pid), stopShim(hung.id)];
  try {
    for (const name of ["frozen", "hung"]) {
      await k.client.delete(pods, { namespace: "default", name }, { gracePeriodSeconds: 1 });
    }
    await othersGoOn("beside");
    await toldOf("frozen", /container main does not end after SIGKILL/);
    await toldOf("hung", /container main takes no signal: .+/);
    await k.restart();
    await othersGoOn("after");
    for (const name of ["frozen", "hung"]) {
      expect((await k.get(name))?.metadata.deletionTimestamp).toBeDefined();
    }
  } finally {
    for (const each of undo) each();
  }
  await k.gone("frozen");
  await k.gone("hung");
  await eventually("a node without their containers", async () =>
    (await k.host.runtime.list()).length === 0 ? true : undefined,
  );
  if (existsSync(FREEZER)) rmdirSync(FREEZER);
});
