import { expect, test } from "bun:test";
import { mediumPageBytes, pageSizeName, pageSizesOf } from "#resources/hugepages.ts";
import type { PodSpec } from "#resources/types.gen.ts";

const asking = (...lists: Array<Record<string, string>>): PodSpec => ({
  containers: lists.map((limits, at) => ({ name: `c${at}`, resources: { limits } })),
});

test("sizes have the names that Kubernetes gives them", () => {
  expect([64, 2048, 32_768, 1_048_576].map(pageSizeName)).toEqual(["64Ki", "2Mi", "32Mi", "1Gi"]);
});

test("a medium is of the one size that the pod's containers ask for", () => {
  const spec = asking({ "hugepages-2Mi": "4Mi", memory: "1Mi" }, { "hugepages-2Mi": "2Mi" });
  expect(pageSizesOf(spec)).toEqual(["2Mi"]);
  expect(mediumPageBytes("HugePages", spec)).toBe(2 ** 21);
  expect(mediumPageBytes("HugePages-2Mi", spec)).toBe(2 ** 21);
  expect(mediumPageBytes("Memory", spec)).toBeUndefined();
  expect(() => mediumPageBytes("HugePages-1Gi", spec)).toThrow("no container asks for");
  expect(() => mediumPageBytes("HugePages", asking({}))).toThrow("there is no");
  const both = asking({ "hugepages-2Mi": "2Mi" }, { "hugepages-1Gi": "1Gi" });
  expect(() => mediumPageBytes("HugePages", both)).toThrow("more than one");
  expect(mediumPageBytes("HugePages-1Gi", both)).toBe(2 ** 30);
});
