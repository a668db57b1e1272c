/** Arguments of functions as what they are known to be: the checker or the dispatch saw to it. */
import { CelError } from "#api/cel/engine/problems.ts";
import { CelMap, Duration, List, Timestamp, Uint, type Value } from "#api/cel/engine/values.ts";

const wrong = (): CelError => new CelError("no such overload");

export function text(value: Value | undefined): string {
  if (typeof value === "string") return value;
  throw wrong();
}

export function integer(value: Value | undefined): bigint {
  if (typeof value === "bigint") return value;
  throw wrong();
}

/** A position: far out of range stays out of range. */
export function place(value: Value | undefined): number {
  return Number(BigInt.asIntN(53, integer(value)));
}

export function list(value: Value | undefined): List {
  if (value instanceof List) return value;
  throw wrong();
}

export function map(value: Value | undefined): CelMap {
  if (value instanceof CelMap) return value;
  throw wrong();
}

type Class<T> = abstract new (...args: never[]) => T;

export function instance<T>(value: Value | undefined, type: Class<T>): T {
  if (value instanceof type) return value;
  throw wrong();
}

const INT_MAX = 2n ** 63n - 1n;
const INT_MIN = -(2n ** 63n);
const UINT_MAX = 2n ** 64n - 1n;

/** @throws CelError past 64 bits. */
export function checkedInt(value: bigint): bigint {
  if (value > INT_MAX || value < INT_MIN) throw new CelError("integer overflow");
  return value;
}

export function checkedUint(value: bigint): Uint {
  if (value > UINT_MAX || value < 0n) throw new CelError("unsigned integer overflow");
  return new Uint(value);
}

/** 0001-01-01 to 9999-12-31. */
const TIME_MIN = -62_135_596_800n * 1_000_000_000n;
const TIME_MAX = 253_402_300_800n * 1_000_000_000n;

export function checkedTime(nanos: bigint): Timestamp {
  if (nanos < TIME_MIN || nanos >= TIME_MAX) throw new CelError("timestamp overflow");
  return new Timestamp(nanos);
}

export function checkedDuration(nanos: bigint): Duration {
  if (nanos > INT_MAX || nanos < INT_MIN) throw new CelError("duration overflow");
  return new Duration(nanos);
}
