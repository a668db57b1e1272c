import { expect, test } from "bun:test";
import { searchPath } from "#base/programs.ts";

test("an administrator's programs are found by whatever PATH, after what it has", () => {
  const admin = "/usr/local/sbin:/usr/sbin:/sbin";
  expect(searchPath("/usr/local/bin:/usr/bin:/bin:/usr/games")).toBe(
    `/usr/local/bin:/usr/bin:/bin:/usr/games:${admin}`,
  );
  expect(searchPath("/sbin:/opt/bin:/usr/sbin")).toBe("/sbin:/opt/bin:/usr/sbin:/usr/local/sbin");
  for (const none of [undefined, ""]) {
    expect(searchPath(none)).toBe(`/usr/local/bin:/usr/bin:/bin:${admin}`);
  }
});
