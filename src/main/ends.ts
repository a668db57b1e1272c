import type { Surroundings } from "./control.ts";

/** What was started, ended in reverse order, whatever happened in between. */
export class Ends {
  readonly #ends: Array<() => Promise<void> | void> = [];

  /** Remembers how to end `value` and passes it on. */
  keep<T>(value: T, end: (value: T) => Promise<void> | void): T {
    this.#ends.push(() => end(value));
    return value;
  }

  async all(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end();
  }
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/**
 * The process was asked to end: pods run on, unless the whole machine goes down; then they get the
 * time to end as well (kubernetes.io/docs/concepts/cluster-administration/node-shutdown).
 */
export async function ending(
  { log, service }: Pick<Surroundings, "log" | "service">,
  endPods: () => Promise<void>,
): Promise<void> {
  service.stopping();
  if (!(await service.machineStops())) {
    log.info("stopping; pods run on");
    return;
  }
  log.info("the machine goes down; pods are told to end");
  await endPods();
}
