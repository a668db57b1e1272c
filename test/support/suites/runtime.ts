/** What every container runtime must do; run it on each implementation, fakes too. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  type Container,
  type ContainerSpec,
  labelKeys,
  type Runtime,
  RuntimeError,
  type RuntimeEvent,
} from "#agents/runtime/runtime.ts";
import { must } from "#base/assert.ts";

export interface RuntimeUnderTest {
  readonly runtime: Runtime;
  /** A container that runs until SIGTERM, and then ends with 143. */
  spec(name: string): ContainerSpec;
  /** The program of a container that was started has come to where it heeds signals. */
  ready(spec: ContainerSpec): Promise<void>;
  /** Polls until `look` finds something; what is on its way has arrived by then. */
  eventually<T>(what: string, look: () => T | undefined | Promise<T | undefined>): Promise<T>;
  readonly cleanUp: () => Promise<void>;
}

interface Bench {
  readonly it: RuntimeUnderTest;
  readonly events: readonly RuntimeEvent[];
  stop(): void;
  start(name: string): Promise<{ id: string; pid: number | undefined }>;
  find(id: string): Promise<Container | undefined>;
  exited(id: string): Promise<Container>;
}

async function bench(open: () => Promise<RuntimeUnderTest>): Promise<Bench> {
  const it = await open();
  const events: RuntimeEvent[] = [];
  const watching = new AbortController();
  it.runtime.watch((event) => events.push(event), watching.signal);
  const find = async (id: string) => (await it.runtime.list()).find((each) => each.id === id);
  return {
    it,
    events,
    stop: () => watching.abort(),
    async start(name) {
      const spec = it.spec(name);
      const started = await it.runtime.run(spec);
      await it.ready(spec);
      return started;
    },
    find,
    exited: (id) =>
      it.eventually("an exit", async () => {
        const container = await find(id);
        return container?.state === "exited" ? container : undefined;
      }),
  };
}

/** Opens a runtime before each test and cleans it up afterwards. */
function benches(open: () => Promise<RuntimeUnderTest>): () => Bench {
  let current: Bench | undefined;
  beforeEach(async () => {
    current = await bench(open);
  });
  afterEach(async () => {
    current?.stop();
    await current?.it.cleanUp();
  });
  return () => must(current, "bench");
}

function lifeSuite(current: () => Bench): void {
  test("what runs is listed with its labels", async () => {
    const bench = current();
    const { it } = bench;
    expect(await it.runtime.list()).toEqual([]);
    const spec = it.spec("web");
    const { id, pid } = await it.runtime.run(spec);
    const container = await bench.find(id);
    expect(container).toMatchObject({ id, pid, state: "running", image: spec.image });
    expect(container).toMatchObject({ exitCode: undefined, finishedAtMs: undefined });
    expect(container?.labels).toMatchObject(spec.labels);
    const other = await bench.start("web");
    expect(other.id).not.toBe(id);
    expect(await it.runtime.list()).toHaveLength(2);
  });

  test("a signal ends it, and its code is told and listed", async () => {
    const bench = current();
    const { it } = bench;
    const { id } = await bench.start("web");
    await it.runtime.signal(id, "SIGTERM");
    const container = await bench.exited(id);
    expect(container).toMatchObject({ exitCode: 143, pid: undefined });
    const exit = await it.eventually("the event", () =>
      bench.events.find((each) => each.type === "exit" && each.containerId === id),
    );
    expect(exit).toMatchObject({ execId: "", exitCode: 143 });
    expect(exit.atMs).toBe(container.finishedAtMs ?? -1);
    // It stays until it is removed, and signals do no harm.
    await it.runtime.signal(id, "SIGKILL");
    expect((await bench.find(id))?.exitCode).toBe(143);
  });

  test("SIGKILL ends it with 137", async () => {
    const bench = current();
    const { it } = bench;
    const { id } = await bench.start("web");
    await it.runtime.signal(id, "SIGKILL");
    expect((await bench.exited(id)).exitCode).toBe(137);
  });

  test("removing takes running and ended ones, and is content with what is gone", async () => {
    const bench = current();
    const { it } = bench;
    const [running, ended, kept] = await Promise.all(["a", "b", "c"].map(bench.start));
    if (!running || !ended || !kept) throw new Error("three containers");
    await it.runtime.signal(ended.id, "SIGKILL");
    await bench.exited(ended.id);
    await it.runtime.remove([running.id, ended.id]);
    const left = await it.runtime.list();
    expect(left.map((each) => each.labels[labelKeys.container])).toEqual(["c"]);
    await it.runtime.remove([running.id, ended.id]);
    await it.runtime.remove([]);
    await it.runtime.signal(running.id, "SIGTERM");
  });
}

function restSuite(current: () => Bench): void {
  test("an image that is not there: an error with its reason, and nothing is left", async () => {
    const bench = current();
    const { it } = bench;
    const spec = { ...it.spec("web"), image: "bramble.test/none:1" };
    const error = await it.runtime.run(spec).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RuntimeError);
    expect(error).toMatchObject({ reason: "CreateContainerError" });
    expect(await it.runtime.list()).toEqual([]);
  });

  test("images are found by their name", async () => {
    const bench = current();
    const { it } = bench;
    const { image } = it.spec("web");
    const found = await it.runtime.inspectImage(image);
    expect(found?.names).toContain(image);
    expect((await it.runtime.images()).map((each) => each.id)).toContain(found?.id ?? "");
    expect(await it.runtime.inspectImage("bramble.test/none:1")).toBeUndefined();
    const pull = it.runtime.pull("localhost:1/none:1");
    await expect(pull).rejects.toMatchObject({ reason: "ErrImagePull" });
  });

  test("a command in it answers its code", async () => {
    const bench = current();
    const { it } = bench;
    const { id } = await bench.start("web");
    expect(await it.runtime.execSync(id, ["true"], 5_000)).toEqual({ exitCode: 0, output: "" });
  });

  test("nothing is told after the watching has ended", async () => {
    const bench = current();
    const { it } = bench;
    const { id } = await bench.start("web");
    bench.stop();
    const told = bench.events.length;
    await it.runtime.signal(id, "SIGKILL");
    await bench.exited(id);
    expect(bench.events.length).toBe(told);
  });
}

export function runtimeSuite(open: () => Promise<RuntimeUnderTest>): void {
  const current = benches(open);
  lifeSuite(current);
  restSuite(current);
}
