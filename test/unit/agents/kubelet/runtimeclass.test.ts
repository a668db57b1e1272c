import { expect, test } from "bun:test";
import { runtimeFor } from "#agents/kubelet/runtimeclass.ts";

const having =
  (...programs: string[]) =>
  (program: string) =>
    programs.includes(program) ? `/usr/bin/${program}` : null;

test("a handler is the default, a program like runc, or containerd's shim of that name", () => {
  expect(runtimeFor("runc", having())).toBe("");
  expect(runtimeFor("crun", having("crun"))).toBe("crun");
  expect(runtimeFor("kata", having("containerd-shim-kata-v2"))).toBe("io.containerd.kata.v2");
  expect(runtimeFor("runsc", having("containerd-shim-runsc-v1"))).toBe("io.containerd.runsc.v1");
});

test("what the node lacks, or no runtime is, is none", () => {
  expect(runtimeFor("crun", having())).toBeUndefined();
  expect(runtimeFor("sh", having("sh"))).toBeUndefined();
});
