/** However a measurement ends, all that it started is ended, and two do not take the same ranges. */
import { expect, test } from "bun:test";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../../..");

/** A measurement of its own process and group; `body` sees `ends`, `machine` and `say`. */
function measurement(body: string) {
  const script = `
    const ends = await import("#test/bench/ends.ts");
    const machine = await import("#test/bench/machine.ts");
    const say = (text) => require("node:fs").writeSync(1, text + "\\n");
    await ends.measureAll(async () => { ${body} });`;
  const options = { cwd: ROOT, detached: true, stdout: "pipe", stderr: "pipe" } as const;
  return Bun.spawn([process.execPath, "-e", script], options);
}

type Measurement = ReturnType<typeof measurement>;

/** What it said until its end, and its status; `said` is told each time that it says more. */
async function follow(child: Measurement, said: (text: string) => void = () => {}) {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    said(text);
  }
  return { lines: text.trim().split("\n"), status: await child.exited };
}

const FOREVER = "await new Promise((resolve) => setTimeout(resolve, 60_000));";

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  test(`${signal} to the whole group ends everything, the last started first`, async () => {
    const child = measurement(`
      const detached = Bun.spawn(["sleep", "60"], { detached: true });
      ends.whenOver(async () => {
        const isAlive = detached.exitCode === null && detached.signalCode === null;
        await ends.endProcess(detached);
        say("first" + (isAlive ? "" : ": died before"));
      });
      void ends.owned(() => Bun.sleep(100), async () => say("still opening"));
      ends.whenOver(() => { throw new Error("one that fails"); });
      ends.whenOver(() => say("last"));
      say("measuring"); ${FOREVER}`);
    const { lines, status } = await follow(child, (text) => {
      if (text === "measuring\n") process.kill(-child.pid, signal);
    });
    expect(lines).toEqual(["measuring", "last", "still opening", "first"]);
    expect(status).toBe(1);
  });
}

test("an end that is under way is waited for, and nothing starts meanwhile", async () => {
  const child = measurement(`
    const end = ends.whenOver(async () => { await Bun.sleep(100); say("ended"); });
    void end();
    void Bun.sleep(50).then(() => ends.goesOn()).catch((error) => say(error.message));
    throw new Error("a failure");`);
  const { lines, status } = await follow(child);
  expect(lines).toEqual(["the measuring is over", "ended"]);
  expect(status).toBe(1);
});

test("an error that nobody waits for ends it, too", async () => {
  const child = measurement(`
    ends.whenOver(() => say("ended"));
    void Promise.reject(new Error("stray")); ${FOREVER}`);
  const { lines, status } = await follow(child);
  expect({ lines, status }).toEqual({ lines: ["ended"], status: 1 });
});

test("a program that a measurement waits for dies with all that it started", async () => {
  const child = measurement(`
    const { must } = await import("#test/bench/programs.ts");
    const { processesWith } = await import("#test/bench/process.ts");
    const nap = "sleep " + (800_000 + process.pid);
    const left = () => processesWith(nap).length;
    ends.whenOver(async () => {
      for (let i = 0; i < 250 && left() > 0; i++) await Bun.sleep(20);
      say("left: " + left());
    });
    void must(["sh", "-c", nap + " & " + nap + "; true"]).catch(() => {});
    while (left() < 3) await Bun.sleep(10);
    throw new Error("a failure");`);
  const { lines } = await follow(child);
  expect(lines).toEqual(["left: 0"]);
});

test("a second measurement is refused while one has the machine", async () => {
  const body = (then: string) =>
    `await machine.lock("bramble-test-${process.pid}"); say("taken"); ${then}`;
  const first = measurement(body(FOREVER));
  let second: Measurement | undefined;
  const { lines } = await follow(first, () => {
    second = measurement(body(""));
    void second.exited.then(() => first.kill());
  });
  expect(lines).toEqual(["taken"]);
  expect(await second?.exited).toBe(1);
  expect(await new Response(second?.stderr).text()).toContain("another measurement has the pods'");
  const third = await follow(measurement(body("")));
  expect(third).toEqual({ lines: ["taken"], status: 0 });
});
