/**
 * Follows all keys of a prefix: one watch of etcd, begun again after the last revision seen when it
 * ends, at whichever member serves.
 */
import { backoffMs } from "#base/backoff.ts";
import { type Clock, sleep } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Members } from "#store/etcd/members.ts";
import { type WatchAnswer, watchAnswer, watchRequest } from "#store/etcd/messages.ts";

export interface FollowOptions {
  readonly members: Members;
  readonly prefix: string;
  /** What is added to etcd's revisions. */
  readonly offset: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** The newest revision that is known. */
  readonly revision: () => number;
  /** In order; each event once. */
  readonly onAnswer: (answer: WatchAnswer) => void;
  /** Events were compacted before they were seen: the state has to be loaded again. */
  readonly onLost: () => Promise<void>;
}

const AGAIN_MS_MIN = 50;
const AGAIN_MS_MAX = 1_000;
const METHOD = "etcdserverpb.Watch/Watch";

export function follow(options: FollowOptions): void {
  let lost = false;
  /** Watches that ended without having brought anything, one after the other. */
  let failures = 0;

  async function once(): Promise<void> {
    const member = options.members.current();
    const stop = new AbortController();
    const heard = (bytes: Uint8Array): void => {
      const answer = watchAnswer(bytes, options.offset);
      if (answer.cancelled !== undefined || answer.compactRevision > 0) {
        // The stream stays open without a watch in it: it is given up.
        if (answer.compactRevision > 0) lost = true;
        else options.members.failed(member, new Error(answer.cancelled));
        stop.abort();
        return;
      }
      failures = 0;
      if (!answer.created) options.onAnswer(answer);
    };
    const signal = AbortSignal.any([options.signal, stop.signal]);
    const first = watchRequest(options.prefix, options.revision() + 1 - options.offset);
    try {
      await member.converse(METHOD, first, heard, { signal }).done;
    } catch (error) {
      if (signal.aborted) return;
      options.members.failed(member, error);
    }
  }

  async function run(): Promise<void> {
    while (!options.signal.aborted) {
      try {
        await once();
        if (lost && !options.signal.aborted) {
          await options.onLost();
          lost = false;
        }
      } catch (error) {
        options.log.warn("cannot follow etcd", { error: messageOf(error) });
      }
      const pause = backoffMs(failures++, AGAIN_MS_MIN, AGAIN_MS_MAX);
      await sleep(options.clock, pause, options.signal);
    }
  }

  void run();
}
