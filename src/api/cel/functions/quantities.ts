/**
 * Quantities and versions.
 * https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-quantity-library
 */
import { fn, method, type Overload, walksText } from "#api/cel/engine/overload.ts";
import { CelError } from "#api/cel/engine/problems.ts";
import { bool, double, int, opaque, string, type Type } from "#api/cel/engine/types.ts";
import { Extension, type Value } from "#api/cel/engine/values.ts";
import { instance, integer, text } from "#api/cel/functions/arguments.ts";
import { parseSemver, type Semver, semverOrder } from "#api/cel/functions/semver.ts";
import { messageOf } from "#base/errors.ts";
import { parseQuantity } from "#resources/quantity.ts";

export const quantityType = opaque("kubernetes.Quantity");
export const semverType = opaque("kubernetes.Semver");

const NANO = 1_000_000_000n;
const INT_MAX = 2n ** 63n - 1n;

class QuantityValue extends Extension {
  readonly type = quantityType;
  readonly nano: bigint;

  constructor(nano: bigint) {
    super();
    this.nano = nano;
  }

  equals(other: Extension): boolean {
    return other instanceof QuantityValue && other.nano === this.nano;
  }

  /** Undefined for one with a fraction, or too large. */
  whole(): bigint | undefined {
    if (this.nano % NANO !== 0n) return undefined;
    const value = this.nano / NANO;
    return value > INT_MAX || value < -INT_MAX - 1n ? undefined : value;
  }
}

class SemverValue extends Extension {
  readonly type = semverType;
  readonly version: Semver;

  constructor(version: Semver) {
    super();
    this.version = version;
  }

  equals(other: Extension): boolean {
    return other instanceof SemverValue && semverOrder(other.version, this.version) === 0;
  }
}

function quantityOf(value: string): QuantityValue {
  try {
    return new QuantityValue(parseQuantity(value).nano);
  } catch (error) {
    throw new CelError(messageOf(error));
  }
}

function isA(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch (error) {
    if (error instanceof CelError) return false;
    throw error;
  }
}

const nano = (value: Value | undefined): bigint => instance(value, QuantityValue).nano;
const signOf = (value: bigint): bigint => (value > 0n ? 1n : value < 0n ? -1n : 0n);
const walks = { cost: walksText() };

const quantities: readonly Overload[] = [
  fn("quantity", [string], quantityType, ([a]) => quantityOf(text(a)), walks),
  fn("isQuantity", [string], bool, ([a]) => isA(() => quantityOf(text(a))), walks),
  method("sign", [quantityType], int, ([a]) => signOf(nano(a))),
  method("isInteger", [quantityType], bool, ([a]) => {
    return instance(a, QuantityValue).whole() !== undefined;
  }),
  method("asInteger", [quantityType], int, ([a]) => {
    const value = instance(a, QuantityValue).whole();
    if (value === undefined) throw new CelError("cannot convert value to integer");
    return value;
  }),
  method("asApproximateFloat", [quantityType], double, ([a]) => Number(nano(a)) / 1e9),
  method("add", [quantityType, quantityType], quantityType, ([a, b]) => {
    return new QuantityValue(nano(a) + nano(b));
  }),
  method("add", [quantityType, int], quantityType, ([a, b]) => {
    return new QuantityValue(nano(a) + integer(b) * NANO);
  }),
  method("sub", [quantityType, quantityType], quantityType, ([a, b]) => {
    return new QuantityValue(nano(a) - nano(b));
  }),
  method("sub", [quantityType, int], quantityType, ([a, b]) => {
    return new QuantityValue(nano(a) - integer(b) * NANO);
  }),
];

/** Both types are compared by the same words. */
const comparisons = (type: Type, order: (a: Value, b: Value) => bigint): readonly Overload[] => [
  method("isGreaterThan", [type, type], bool, ([a = null, b = null]) => order(a, b) > 0n),
  method("isLessThan", [type, type], bool, ([a = null, b = null]) => order(a, b) < 0n),
  method("compareTo", [type, type], int, ([a = null, b = null]) => order(a, b)),
];

const version = (value: Value | undefined): Semver => instance(value, SemverValue).version;
const semverOf = (value: string, normalize: boolean): SemverValue =>
  new SemverValue(parseSemver(value, normalize));

const semvers: readonly Overload[] = [
  fn("semver", [string], semverType, ([a]) => semverOf(text(a), false), walks),
  fn("semver", [string, bool], semverType, ([a, b]) => semverOf(text(a), b === true), walks),
  fn("isSemver", [string], bool, ([a]) => isA(() => semverOf(text(a), false)), walks),
  fn("isSemver", [string, bool], bool, ([a, b]) => isA(() => semverOf(text(a), b === true)), walks),
  method("major", [semverType], int, ([a]) => version(a).major),
  method("minor", [semverType], int, ([a]) => version(a).minor),
  method("patch", [semverType], int, ([a]) => version(a).patch),
];

export const quantityFunctions: readonly Overload[] = [
  ...quantities,
  ...comparisons(quantityType, (a, b) => signOf(nano(a) - nano(b))),
  ...semvers,
  ...comparisons(semverType, (a, b) => BigInt(semverOrder(version(a), version(b)))),
];
