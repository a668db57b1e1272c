/**
 * What is kept in etcd beside the objects: whose turn it is with them, and what is added to etcd's
 * own revisions. A cluster that came from elsewhere has seen higher revisions than an etcd that is
 * new, and revisions only grow. Every write compares the revision of this key: whoever takes the
 * objects away changes it first, and no server writes behind its back.
 */
import { OperatorError } from "#base/errors.ts";

export interface Place {
  /**
   * `ready`: servers use it. `filling`: objects are on their way here. `leaving`: they are copied
   * away; a server that starts meanwhile keeps them here. `moved`: what is here is a backup.
   */
  readonly state: "ready" | "filling" | "leaving" | "moved";
  /** Added to etcd's revisions. */
  readonly offset: number;
  /** The other end of the last migration, in words. */
  readonly other: string;
  /** When it began, as RFC 3339. */
  readonly since: string;
  /** Of the last migration; the datastore that it made elsewhere has it too. */
  readonly migration: number;
}

/** Before the keys of all objects, whose buckets begin with letters. */
export const PLACE = ".place";

/**
 * Written by who has to see that its watch is at the newest revision, which other users of the same
 * etcd may have made: what a watch brings is in order. (To ask for the watch's progress is of no
 * use: up to 3.4.30 and 3.5.12 etcd answers with revisions whose events it did not send yet.)
 */
export const TICK = ".tick";

/** Its last change began the present term; writes of a term compare that. */
export const TERM = ".term";

/**
 * What the servers share, sealed. It is named like a ConfigMap, and never served as one. Servers of
 * older versions look for it there: without it, they would make another cluster.
 */
export const SERVER_KEYS = "core/configmaps/kube-system/bramble-servers";

/** No object's. */
export const isOwnKey = (key: string): boolean => key.startsWith(".") || key === SERVER_KEYS;

/** @throws OperatorError for what this program does not know. */
export function placeOf(text: string): Place {
  try {
    const place = JSON.parse(text) as Place;
    if (!/^(ready|filling|leaving|moved)$/.test(place.state)) throw new Error(place.state);
    return place;
  } catch (cause) {
    throw new OperatorError("the datastore in etcd was made by a newer program", { cause });
  }
}

/** @throws OperatorError where no server may use what is there. */
export function assertUsable({ state, other, since }: Place): void {
  if (state === "filling") {
    throw new OperatorError(`the migration from ${other} of ${since} did not finish`, {
      hint: "run `bramble migrate` again, or go on with the datastore that it came from",
    });
  }
  if (state === "moved") {
    throw new OperatorError(`this cluster moved from etcd to ${other} at ${since}`, {
      hint: "start the server with --datastore sqlite there; what is in etcd is older",
    });
  }
}
