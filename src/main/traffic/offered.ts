/** What the process does for the thread of its DNS and Ingress. */
import type { TrafficAround } from "./traffic.ts";
import { idOf, type ObjectRef, type ProcessOffers } from "./words.ts";

/** `changed` is told of objects that the thread watches. `end` when the thread is gone. */
export function offersOf(
  { run, writers, mark, objects, log }: TrafficAround,
  changed: (...ref: ObjectRef) => void,
): { offers: ProcessOffers; end(): void } {
  const watches = new Map<string, () => void>();
  const unwatch = (...ref: ObjectRef): void => {
    watches.get(idOf(...ref))?.();
    watches.delete(idOf(...ref));
  };
  const offers: ProcessOffers = {
    run: (argv) => run(argv),
    apply: async (family, owner, rules) => writers[family]?.apply(owner, rules),
    mark,
    object: (...ref) => objects.get(...ref),
    watch: async (...ref) => {
      unwatch(...ref);
      watches.set(
        idOf(...ref),
        objects.watch(...ref, () => changed(...ref)),
      );
    },
    unwatch: async (...ref) => unwatch(...ref),
    log: async ({ level, part, message, fields }) => log.part(part)[level](message, fields),
  };
  const end = (): void => {
    for (const endOne of watches.values()) endOne();
    watches.clear();
  };
  return { offers, end };
}
