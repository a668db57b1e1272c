import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  addQuantity,
  canonicalQuantity,
  compareQuantity,
  milliValue,
  parseQuantity,
  quantityValue,
} from "#resources/quantity.ts";

/** Made by resource.ParseQuantity(text).String() of k8s.io/apimachinery v0.34.4. */
const golden = await Bun.file(new URL("./quantity.golden.txt", import.meta.url)).text();

function answer(text: string): string {
  try {
    return canonicalQuantity(text);
  } catch (error) {
    return `error: ${(error as Error).message}`;
  }
}

test("every suffix and exponent reads and writes as in Kubernetes", () => {
  const lines = golden.trimEnd().split("\n");
  const texts = lines.map((line) => line.slice(0, line.indexOf(" -> ")));
  expect(texts.map((text) => `${text} -> ${answer(text)}`)).toEqual(lines);
});

describe("values", () => {
  test.each([
    ["500m", 0.5, 500],
    ["1Gi", 1024 ** 3, 1024 ** 3 * 1000],
    ["1e3", 1000, 1_000_000],
    ["100n", 1e-7, 1],
    ["1.5", 1.5, 1500],
    ["-1500u", -0.0015, -2],
    ["2Ei", 2 * 1024 ** 6, 2 * 1024 ** 6 * 1000],
  ])("%s", (text, value, milli) => {
    expect(quantityValue(text)).toBe(value);
    expect(milliValue(text)).toBe(milli);
  });

  test("a number is a quantity too", () => {
    expect(quantityValue(2)).toBe(2);
    expect(canonicalQuantity(0.5)).toBe("500m");
  });

  test("an exponent without bound is refused", () => {
    expect(() => parseQuantity("1e2147483647")).toThrow("unable to parse quantity's suffix");
  });

  test("sums keep the format of the first", () => {
    expect(addQuantity("1Gi", "512Mi")).toBe("1536Mi");
    expect(addQuantity("1500m", "500m")).toBe("2");
    expect(addQuantity("0", "1Ki")).toBe("1Ki");
    expect(addQuantity("2", "500m", -1)).toBe("1500m");
  });
});

const suffix = fc.constantFrom("n", "u", "m", "", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "e3");
const text = fc
  .tuple(fc.integer({ min: -1e9, max: 1e9 }), fc.nat(999), suffix)
  .map(([whole, fraction, end]) => `${whole}.${fraction}${end}`);

test("canonical form keeps the amount and is its own canonical form", () => {
  fc.assert(
    fc.property(text, (quantity) => {
      const canonical = canonicalQuantity(quantity);
      expect(parseQuantity(canonical).nano).toBe(parseQuantity(quantity).nano);
      // Half a Ki may be a round decimal number, which is read again without its format (upstream).
      const again = canonicalQuantity(canonical);
      expect(canonicalQuantity(again)).toBe(again);
    }),
  );
});

const INT64_NANO = (2n ** 63n - 1n) * 1_000_000_000n;

test("comparing agrees with exact arithmetic, and adding then taking away changes nothing", () => {
  fc.assert(
    fc.property(text, text, (a, b) => {
      const difference = parseQuantity(a).nano - parseQuantity(b).nano;
      expect(Math.sign(compareQuantity(a, b))).toBe(difference < 0n ? -1 : difference > 0n ? 1 : 0);
      // A binary sum past an int64 is cut to it, as upstream cuts it: nothing brings it back.
      const sum = parseQuantity(a).nano + parseQuantity(b).nano;
      if (sum > INT64_NANO || sum < -INT64_NANO) return;
      expect(compareQuantity(addQuantity(addQuantity(a, b), b, -1), a)).toBe(0);
    }),
    { examples: [["0.375Gi", "9224.0P"]] },
  );
});
