/** Priority and fairness: the API's own objects say who waits for whom. */

import { isMaster } from "#api/auth/authorize.ts";
import type { Core, UserInfo } from "#api/core.ts";
import { insistOnWrites, settle } from "#api/ensure.ts";
import { refuse } from "#api/errors.ts";
import { type Asked, classify, inOrder, type Sorted } from "#api/fair/classify.ts";
import { CATCH_ALL, defaultLevels, defaultSchemas, planLevels } from "#api/fair/levels.ts";
import { FairQueues } from "#api/fair/queues.ts";
import { follow } from "#api/follow.ts";
import { compoundKey } from "#base/key.ts";
import { limits } from "#base/limits.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import type { FlowSchema, PriorityLevelConfiguration } from "#resources/types.gen.ts";

export interface FlowControl {
  readonly queues: FairQueues;
  /**
   * Waits for a turn; the function ends it. Nothing to wait for is no promise.
   * @throws ApiError 429
   */
  enter(asked: Asked): (() => void) | Promise<() => void>;
  /** Makes the default objects and follows them; answers how to end. */
  start(): Promise<() => void>;
}

const NOTHING = (): void => {};
const SORTED_MAX = 64;

export function createFlowControl(core: Core): FlowControl {
  const { store, log, clock } = core;
  const queues = new FairQueues(() => clock.monotonic());
  const seats = core.settings.requestsInFlightMax;
  let ordered: FlowSchema[] = inOrder(defaultSchemas());
  let sorted = new WeakMap<UserInfo, Map<string, Sorted>>();
  queues.configure(planLevels(defaultLevels(), seats), seats);

  const changed = (): void => {
    queues.configure(planLevels(levels.all(), seats), seats);
    ordered = inOrder(schemas.all());
    sorted = new WeakMap();
  };
  const base = "flowcontrol.apiserver.k8s.io";
  const levels = follow<PriorityLevelConfiguration>(
    store,
    log,
    `${base}/prioritylevelconfigurations`,
    changed,
  );
  const schemas = follow<FlowSchema>(store, log, `${base}/flowschemas`, changed);

  function sort(asked: Asked): Sorted {
    const { target, verb, user } = asked;
    const key =
      target === undefined
        ? compoundKey(verb, asked.path)
        : compoundKey(verb, target.group, target.plural, target.subresource, target.namespace);
    let known = sorted.get(user);
    if (known === undefined || known.size > SORTED_MAX) {
      known = new Map();
      sorted.set(user, known);
    }
    let found = known.get(key);
    if (found === undefined) {
      found = classify(ordered, asked, (name) => queues.has(name)) ?? {
        level: CATCH_ALL,
        flow: compoundKey(user.name),
      };
      known.set(key, found);
    }
    return found;
  }

  const refused = (why: unknown): never => {
    throw refuse.busy(
      `too many requests, please try again later (${String(why)} of priority and fairness)`,
    );
  };

  return {
    queues,
    enter(asked) {
      if (isMaster(asked.user)) return NOTHING;
      const { level, flow } = sort(asked);
      try {
        const seat = queues.enter(level, flow);
        return seat instanceof Promise ? seat.catch(refused) : seat;
      } catch (why) {
        return refused(why);
      }
    },
    async start() {
      const ends = [
        await insistOnWrites(core, "making the default priority levels", async () => {
          for (const object of [...defaultLevels(), ...defaultSchemas()]) {
            await settleDefault(core, object as ApiObject);
          }
        }),
        await levels.start(),
        await schemas.start(),
      ];
      changed();
      let cancel = NOTHING;
      const sweep = (): void => {
        queues.expire(limits.requestQueueMsMax);
        cancel = clock.after(limits.requestQueueSweepMs, sweep);
      };
      sweep();
      return () => {
        cancel();
        for (const end of ends) end();
      };
    },
  };
}

const AUTO = "apf.kubernetes.io/autoupdate-spec";

/** Defaults follow the program, unless somebody said otherwise by that annotation. */
function settleDefault(core: Core, object: ApiObject): Promise<void> {
  const metadata = { ...object.metadata, annotations: { [AUTO]: "true" } };
  const wanted = { ...object, metadata };
  const follows = (live: Stored): boolean => live.metadata.annotations?.[AUTO] === "true";
  return settle(core, wanted, (live) => (follows(live) ? wanted : undefined));
}
