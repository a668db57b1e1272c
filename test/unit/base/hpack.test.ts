import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeHeaders, decodeHuffman, encodeHeaders, HpackError } from "#base/hpack.ts";
import { tries } from "#test/support/property.ts";

const bytes = (hex: string) => Buffer.from(hex.replace(/\s/g, ""), "hex");

describe("the examples of RFC 7541", () => {
  test.each([
    ["f1e3 c2e5 f23a 6ba0 ab90 f4ff", "www.example.com"],
    ["a8eb 1064 9cbf", "no-cache"],
    ["25a8 49e9 5ba9 7d7f", "custom-key"],
    ["25a8 49e9 5bb8 e8b4 bf", "custom-value"],
    ["6402", "302"],
    ["d07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff", "Mon, 21 Oct 2013 20:13:21 GMT"],
    [
      `94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5
       291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
      "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
    ],
  ])("Huffman %s", (hex, text) => {
    expect(decodeHuffman(bytes(hex))).toBe(text);
  });

  test("headers by index, with a new name, with an indexed one, never indexed", () => {
    expect(decodeHeaders(bytes("82"))).toEqual({ ":method": "GET" });
    const plain = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
    expect(decodeHeaders(bytes(plain))).toEqual({ "custom-key": "custom-header" });
    expect(decodeHeaders(bytes("040c 2f73 616d 706c 652f 7061 7468"))).toEqual({
      ":path": "/sample/path",
    });
    const never = "1008 7061 7373 776f 7264 0673 6563 7265 74";
    expect(decodeHeaders(bytes(never))).toEqual({ password: "secret" });
  });

  test("a change of the table's size is nothing to see", () => {
    expect(decodeHeaders(bytes("20 88"))).toEqual({ ":status": "200" });
    expect(decodeHeaders(bytes("3fe1 1f 88"))).toEqual({ ":status": "200" });
  });
});

test("property: what is written is read", () => {
  const name = fc.stringMatching(/^[a-z-]{1,40}$/);
  fc.assert(
    fc.property(fc.dictionary(name, fc.string({ maxLength: 400 })), (headers) => {
      expect(decodeHeaders(encodeHeaders(headers))).toEqual({ ...headers });
    }),
    tries(100),
  );
});

test("any bytes are read or refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (block) => {
      try {
        decodeHeaders(block);
      } catch (error) {
        expect(error).toBeInstanceOf(HpackError);
      }
    }),
  );
  // The dynamic table is not allowed.
  expect(() => decodeHeaders(bytes("be"))).toThrow(HpackError);
});
