/** What a measurement started, ended in reverse order: after a failure and after a signal too. */
import { messageOf } from "#base/errors.ts";

/** Two tries to remove a node, and what stops before. */
const END_MS_MAX = 300_000;
const STOP_MS_MAX = 30_000;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

type End = () => Promise<void>;

const ends: End[] = [];
const running = new Set<Bun.Subprocess>();
const interruption = Promise.withResolvers<never>();
interruption.promise.catch(() => {});
let isOver = false;

/**
 * Remembers how to end something. The answer ends it early; all who end it wait for the same end.
 */
export function whenOver(end: () => Promise<void> | void): End {
  let ended: Promise<void> | undefined;
  const once: End = () => {
    ended ??= Promise.try(end).finally(() => ends.splice(ends.indexOf(once), 1));
    return ended;
  };
  ends.push(once);
  return once;
}

/**
 * What takes a while to open has its owner from the start: who ends it waits for it first. Answers
 * it and its early end.
 */
export async function owned<T>(
  open: () => Promise<T>,
  end: (it: T) => Promise<void>,
): Promise<[T, End]> {
  goesOn();
  const opening = open();
  // What did not open has cleaned up after itself.
  const close = whenOver(() => opening.then(end, () => {}));
  return [await opening, close];
}

/** @throws once the measuring is over, so that nothing starts while all is ended. */
export function goesOn(): void {
  if (isOver) throw new Error("the measuring is over");
}

async function inTime(end: End): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error("it takes too long")), END_MS_MAX);
  try {
    await Promise.race([end(), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** A failure to end one thing keeps nothing else from being ended. */
export async function endAll(): Promise<void> {
  stopPrograms();
  for (const end of [...ends].reverse()) {
    try {
      await inTime(end);
    } catch (error) {
      console.error(`clean up: ${messageOf(error)}`);
      process.exitCode = 1;
    }
  }
}

/** SIGTERM, and SIGKILL for what does not follow it; a process that was halted ends, too. */
export async function endProcess(child: Bun.Subprocess): Promise<void> {
  child.kill();
  child.kill("SIGCONT");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
  await child.exited;
  clearTimeout(timer);
}

/** A program of a measurement: it dies with it. @throws when that is over. */
export function measuring<Child extends Bun.Subprocess>(child: () => Child): Child {
  goesOn();
  const started = child();
  running.add(started);
  void started.exited.then(() => running.delete(started));
  return started;
}

/** With all that it started, where it leads a group of its own. */
function killGroup(child: Bun.Subprocess): void {
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    child.kill("SIGKILL");
  }
}

function stopPrograms(): void {
  isOver = true;
  for (const child of running) killGroup(child);
}

function breakOff(error: Error): void {
  stopPrograms();
  interruption.reject(error);
}

/**
 * Measures, ends whatever was started, and exits: after a failure, a signal and an error that
 * nobody waited for as well. What a signal reaches first may die before it was ended (a terminal
 * and `timeout` tell the whole group), so what the ends need leads a group of its own.
 */
export async function measureAll(measure: () => Promise<void>): Promise<never> {
  for (const signal of SIGNALS) process.on(signal, () => breakOff(new Error(`got ${signal}`)));
  for (const event of ["uncaughtException", "unhandledRejection"] as const) {
    process.on(event, (error: unknown) => breakOff(new Error(messageOf(error))));
  }
  try {
    await Promise.race([measure(), interruption.promise]);
  } catch (error) {
    console.error(`bench: ${messageOf(error)}`);
    process.exitCode = 1;
  }
  await endAll();
  return process.exit();
}
