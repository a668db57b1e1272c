import { expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { Gzip, pack } from "#api/gzip.ts";
import { gzipPieces } from "#api/pieces.ts";
import { type Slice, textOfSlice } from "#api/slices.ts";

test("parts that were packed on their own are one stream, in any order and again", () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 5_000 }), { maxLength: 8 });
  fc.assert(
    fc.property(parts, fc.array(fc.nat(), { maxLength: 20 }), (all, order) => {
      const packed = all.map(pack);
      const gzip = new Gzip();
      const out = [gzip.head()];
      const expected: Uint8Array[] = [];
      for (const number of all.length === 0 ? [] : order) {
        const at = number % all.length;
        out.push(gzip.packed(packed[at] ?? pack(new Uint8Array())));
        expected.push(all[at] ?? new Uint8Array());
      }
      out.push(gzip.end());
      // It checks the checksum and the size, and that nothing comes after them.
      expect(gunzipSync(Buffer.concat(out))).toEqual(Buffer.concat(expected));
    }),
  );
});

const sliceOf = (before: string, texts: readonly string[], after: string): Slice => ({
  ...{ before, after },
  texts: () => texts,
});

test("slices are packed one by one, and sent as they were packed before", () => {
  const long = Array.from({ length: 200 }, (_, i) => `"${i} ä ${"x".repeat(2_000)}"`);
  const slices = [
    sliceOf('{"items":[', long, ","),
    sliceOf("", long, ","),
    sliceOf("", ["1"], "]}"),
  ];
  const text = slices.map(textOfSlice).join("");
  const again: Slice[] = [];
  const keeping = slices.map((slice) => ({
    ...slice,
    keep: (packed: NonNullable<Slice["packed"]>) => void again.push({ ...slice, packed }),
  }));
  const pieces = [...gzipPieces(keeping)];
  expect(pieces.length).toBe(3);
  expect(gunzipSync(Buffer.concat(pieces.flat())).toString()).toBe(text);
  const made = again.map((slice) => ({ ...slice, texts: () => expect.unreachable() }));
  expect(gunzipSync(Buffer.concat([...gzipPieces(made)].flat())).toString()).toBe(text);
});
