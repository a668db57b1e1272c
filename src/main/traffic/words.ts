/** What the process and the thread of its DNS and Ingress say to each other. */
import type { RuleSet } from "#agents/network/packets.ts";
import type { ObjectSource } from "#agents/volumes/volumes.ts";
import type { Family } from "#base/cidr.ts";
import type { Fields, Level } from "#base/log.ts";
import type { RunResult } from "#base/process.ts";
import type { Portion } from "#client/replica.ts";
import type { TrafficSettings } from "./traffic.ts";

export type ObjectRef = Parameters<ObjectSource["get"]>;

export const idOf = (...[kind, namespace, name]: ObjectRef): string =>
  `${kind} ${namespace}/${name}`;

/** What the thread does when it is asked. */
export interface ThreadOffers {
  /** First of all, once. */
  start(settings: TrafficSettings): Promise<void>;
  /** Resolves once the objects are taken. */
  feed(portions: readonly Portion[]): Promise<void>;
  /** An object that is watched. */
  changed(...ref: ObjectRef): Promise<void>;
  drained(podUid: string): Promise<void>;
  metrics(): Promise<string>;
  shrink(): Promise<void>;
  stop(): Promise<void>;
  /** Nothing: whether it answers is what counts. */
  alive(): Promise<void>;
}

/** What the thread has the process do. */
export interface ProcessOffers {
  run(argv: readonly string[]): Promise<RunResult>;
  apply(family: Family, owner: string, rules: RuleSet): Promise<void>;
  mark(ports: string | undefined): Promise<void>;
  object(...ref: ObjectRef): ReturnType<ObjectSource["get"]>;
  /** `changed` is told of it from now on. */
  watch(...ref: ObjectRef): Promise<void>;
  unwatch(...ref: ObjectRef): Promise<void>;
  log(line: LogLine): Promise<void>;
}

export interface LogLine {
  level: Level;
  part: string;
  message: string;
  fields: Fields;
}
