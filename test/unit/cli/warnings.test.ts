import { expect, test } from "bun:test";
import { telling, warningsIn } from "#cli/warnings.ts";

test.each<[string | null, string[]]>([
  [null, []],
  ['299 - "one"', ["one"]],
  ['299 - "one, 299 - two", 299 kube "say \\"so\\" \\\\"', ["one, 299 - two", 'say "so" \\']],
  ['199 - "another sort"', []],
])("%s holds %j", (header, texts) => {
  expect(warningsIn(header)).toEqual(texts);
});

test("each warning is told once, whatever the answer", async () => {
  const told: string[] = [];
  const answers = ["a", "a", "b"].map((text, at) => {
    const headers = new Headers([["warning", `299 - "${text}"`]]);
    headers.append("warning", '299 - "always"');
    return new Response("{}", { status: at === 1 ? 404 : 200, headers });
  });
  const fetch = telling(
    async () => answers.shift() ?? new Response(),
    (text) => {
      told.push(text);
    },
  );
  const codes = [1, 2, 3, 4].map(async () => (await fetch(new Request("http://api/"))).status);
  expect(await Promise.all(codes)).toEqual([200, 404, 200, 200]);
  expect(told).toEqual(["a", "always", "b"]);
});
