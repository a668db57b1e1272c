import { expect, test } from "bun:test";
import { chainId, mountArguments } from "#agents/runtime/imagemounts.ts";

test("a stack of layers has a name of its own", () => {
  expect(chainId(["sha256:a"])).toBe("sha256:a");
  const two = new Bun.CryptoHasher("sha256").update("sha256:a sha256:b").digest("hex");
  expect(chainId(["sha256:a", "sha256:b"])).toBe(`sha256:${two}`);
  const three = new Bun.CryptoHasher("sha256").update(`sha256:${two} sha256:c`).digest("hex");
  expect(chainId(["sha256:a", "sha256:b", "sha256:c"])).toBe(`sha256:${three}`);
});

test("is mounted read-only and without programs, whatever the snapshotter says", () => {
  const one = { type: "bind", source: "/snapshots/1/fs", options: ["rw", "rbind"] };
  expect(mountArguments(one)).toEqual(["-o", "rbind,ro,noexec", "--", "/snapshots/1/fs"]);
  const many = { type: "overlay", source: "overlay", options: ["lowerdir=/a:/b", "ro"] };
  const options = ["-t", "overlay", "-o", "lowerdir=/a:/b,ro,noexec", "--", "overlay"];
  expect(mountArguments(many)).toEqual(options);
});
