/** What a measurement started, ended in reverse order: after a failure and after Ctrl-C too. */
const ends: Array<() => Promise<void> | void> = [];

/** Remembers how to end something. The answer ends it early; twice does nothing. */
export function whenOver(end: () => Promise<void> | void): () => Promise<void> {
  ends.push(end);
  return async () => {
    const at = ends.indexOf(end);
    if (at < 0) return;
    ends.splice(at, 1);
    await end();
  };
}

let ending: Promise<void> | undefined;

/** A failure to end one thing keeps nothing else from being ended. */
export function endAll(): Promise<void> {
  ending ??= endEach();
  return ending;
}

async function endEach(): Promise<void> {
  for (const end of ends.splice(0).reverse()) {
    try {
      await end();
    } catch (error) {
      console.error(`clean up: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

const interruption = Promise.withResolvers<never>();
const running = new Set<Bun.Subprocess>();
let isInterrupted = false;

/** Rejects when the person at the keyboard has enough. */
export const interrupted: Promise<never> = interruption.promise;
interrupted.catch(() => {});

/** A program of a measurement: it dies with it. @throws when that is over. */
export function measuring<Child extends Bun.Subprocess>(child: () => Child): Child {
  if (isInterrupted) throw new Error("interrupted");
  const started = child();
  running.add(started);
  void started.exited.then(() => running.delete(started));
  return started;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    isInterrupted = true;
    for (const child of running) child.kill("SIGKILL");
    interruption.reject(new Error("interrupted"));
  });
}
