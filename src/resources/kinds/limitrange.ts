import { createdColumn, nameColumn } from "#resources/columns/text.ts";
import { canonicalResources } from "#resources/defaults/resources.ts";
import { defineKind } from "#resources/kind.ts";
import type { LimitRange } from "#resources/types.gen.ts";
import { validateLimitRange } from "#resources/validate/quota.ts";

export const limitRanges = defineKind<LimitRange>({
  group: "",
  version: "v1",
  kind: "LimitRange",
  plural: "limitranges",
  namespaced: true,
  schema: "io.k8s.api.core.v1.LimitRange",
  shortNames: ["limits"],
  columns: [nameColumn, createdColumn],
  defaults: (range) => {
    for (const item of range.spec?.limits ?? []) {
      for (const list of [
        item.max,
        item.min,
        item.default,
        item.defaultRequest,
        item.maxLimitRequestRatio,
      ]) {
        canonicalResources(list);
      }
      if (item.type !== "Container") continue;
      item.default = { ...item.max, ...item.default };
      item.defaultRequest = { ...item.min, ...item.default, ...item.defaultRequest };
    }
  },
  validate: validateLimitRange,
});
