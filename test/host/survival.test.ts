/** What is left, and what goes on, when parts of a node end without warning. */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { chmod, readFile, rm, writeFile } from "node:fs/promises";
import { RuntimeError } from "#agents/runtime/runtime.ts";
import { runProcess } from "#base/process.ts";
import { eventually, type HostRuntime, startHostRuntime } from "#test/support/runtime.ts";

setDefaultTimeout(240_000);

let host: HostRuntime;

beforeEach(async () => {
  host = await startHostRuntime("survival");
});
afterEach(() => host?.close());

async function only(): Promise<{ id: string; state: string; exitCode: number | undefined }> {
  const [container, ...more] = await host.runtime.list();
  if (container === undefined || more.length > 0) throw new Error("not one container");
  return container;
}

const connections = () => host.events.filter((each) => each.type === "reconnected").length;

test("containerd ends and comes back: containers go on, and what they did is seen", async () => {
  const spec = host.spec("trap 'echo bye; exit 9' TERM; echo up; while :; do sleep 0.05; done");
  const { id, pid } = await host.runtime.run(spec);
  await host.logWith(spec.logPath, "up");
  const before = connections();

  await host.containerd.kill();
  await expect(host.runtime.list()).rejects.toThrow();
  process.kill(pid ?? 0, "SIGTERM");
  await host.logWith(spec.logPath, "bye");
  await host.containerd.start();

  await eventually("the connection", () => connections() > before || undefined);
  const ended = await eventually("the exit", async () => {
    const container = await only();
    return container.state === "running" ? undefined : container;
  });
  // From 1.7 on containerd removes what ended while it was down, and the exit code with it.
  const keeps = (await host.runtime.version()).startsWith("containerd://1.6.");
  expect(ended).toMatchObject({ id, ...(keeps ? { exitCode: 9 } : { state: "created" }) });
  await host.runtime.remove([id]);
  expect(await host.runtime.list()).toEqual([]);
});

test("after a power cut stale containers are shown, removed and replaced", async () => {
  const first = await host.runtime.run(host.spec("sleep 1000", { ipc: "shareable" }));
  const done = await host.runtime.run(host.spec("exit 3"));
  await host.event((each) => each.type === "exit" && each.containerId === done.id);

  // Everything ends at once; /run is empty after the boot, /var is as it was.
  await host.containerd.crash();
  await rm(`${host.containerd.dir}/run`, { recursive: true, force: true });
  await host.containerd.start();

  const { root, namespace } = host.containerd;
  const tasks = `${root}/io.containerd.runtime.v2.task/${namespace}`;
  expect(readdirSync(tasks).sort()).toEqual([first.id, done.id].sort());
  const stale = await host.runtime.list();
  expect(stale.map((each) => each.state)).toEqual(["created", "created"]);
  expect(stale.map((each) => each.id).sort()).toEqual([first.id, done.id].sort());
  await host.runtime.remove(stale.map((each) => each.id));
  expect(await host.runtime.list()).toEqual([]);
  // containerd would keep it for good.
  expect(readdirSync(tasks)).toEqual([]);
  const spec = host.spec("echo again; sleep 1000");
  const again = await host.runtime.run(spec);
  await host.logWith(spec.logPath, "again");
  await host.runtime.remove([again.id]);
  const mounts = await readFile("/proc/self/mountinfo", "utf8");
  expect(mounts).not.toContain(`${host.containerd.dir}/nerdctl`);
});

test("a shim that is killed takes its containers along and leaves the others", async () => {
  const lost = await host.runtime.run(host.spec("sleep 1000"));
  const kept = await host.runtime.run(host.spec("sleep 1000"));
  const stat = await readFile(`/proc/${lost.pid}/stat`, "utf8");
  process.kill(Number(stat.split(" ")[3]), "SIGKILL");
  await host.event((each) => each.type === "exit" && each.containerId === lost.id);
  await eventually("its end", async () => {
    const found = (await host.runtime.list()).find((each) => each.id === lost.id);
    return found?.state !== "running" || undefined;
  });
  expect((await host.runtime.list()).find((each) => each.id === kept.id)?.state).toBe("running");
  await host.runtime.remove([lost.id, kept.id]);
  expect(await host.runtime.list()).toEqual([]);
});

test("a hanging nerdctl is bounded by time, and what it had made is removed", async () => {
  const slow = `${host.containerd.dir}/slow-nerdctl`;
  // Makes the container, and then never comes back; removing works.
  await writeFile(
    slow,
    `#!/bin/sh
case "$*" in
  *" create "*) nerdctl "$@"; exec sleep 1000;;
  *) exec nerdctl "$@";;
esac
`,
  );
  await chmod(slow, 0o755);
  const runtime = host.another({
    binary: slow,
    run: (argv, options) =>
      runProcess(argv, argv.includes("create") ? { ...options, timeoutMs: 3_000 } : options),
  });
  const began = performance.now();
  const error = await runtime.run(host.spec("sleep 1000")).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RuntimeError);
  expect(String(error)).toContain("took more than 3000 ms");
  expect(performance.now() - began).toBeLessThan(60_000);
  expect(await host.runtime.list()).toEqual([]);
});

test("without nerdctl or containerd the error says so", async () => {
  const none = host.another({ binary: "/no/such/nerdctl" });
  await expect(none.run(host.spec("true"))).rejects.toThrow("start /no/such/nerdctl");
  const nowhere = host.another({ address: `${host.containerd.dir}/none.sock` });
  await expect(nowhere.list()).rejects.toThrow("none.sock");
});
