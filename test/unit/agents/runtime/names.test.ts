import { expect, test } from "bun:test";
import { parseImageName } from "#agents/runtime/names.ts";

const DIGEST = `sha256:${"0123456789abcdef".repeat(4)}`;

test.each([
  ["busybox", "docker.io/library/busybox:latest"],
  ["busybox:1.36", "docker.io/library/busybox:1.36"],
  ["user/app", "docker.io/user/app:latest"],
  ["docker.io/busybox", "docker.io/library/busybox:latest"],
  ["index.docker.io/user/app:1", "docker.io/user/app:1"],
  ["localhost/app", "localhost/app:latest"],
  ["localhost:5000/a/b:x", "localhost:5000/a/b:x"],
  ["registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"],
  ["[::1]:5000/app", "[::1]:5000/app:latest"],
  ["Registry/app", "Registry/app:latest"],
  [`app@${DIGEST}`, `docker.io/library/app@${DIGEST}`],
  [`app:1@${DIGEST}`, `docker.io/library/app@${DIGEST}`],
])("%s is %s", (given, full) => {
  expect(parseImageName(given)?.full).toBe(full);
});

test.each([
  "",
  "UPPER",
  "a b",
  "app:",
  "app:bad tag",
  "app@sha256:short",
  "a//b",
  "/a",
  "-a",
  "a:1:2",
  DIGEST,
  "f".repeat(64),
  `a@${DIGEST}@${DIGEST}`,
  `registry.test/${"a".repeat(300)}`,
])("%p is no image name", (given) => {
  expect(parseImageName(given)).toBeUndefined();
});

test("the parts", () => {
  expect(parseImageName("localhost:5000/a/b:x")).toEqual({
    domain: "localhost:5000",
    repository: "localhost:5000/a/b",
    tag: "x",
    digest: undefined,
    full: "localhost:5000/a/b:x",
  });
});
