import { refuse } from "#api/errors.ts";
import { getOne } from "#api/read.ts";
import type { Subresource } from "#api/subresources/subresource.ts";
import { patchObject, putObject } from "#api/verbs.ts";

/** The part of an object that those who run it write. */
export const status: Subresource = {
  name: "status",
  of: (resource) => resource.kind.subresources.status,
  verbs: ["get", "patch", "update"],
  async serve(core, call) {
    switch (call.verb) {
      case "get":
        return getOne(core, call);
      case "update":
        return putObject(core, call, "status");
      case "patch":
        return patchObject(core, call, "status");
      default:
        throw refuse.method();
    }
  },
};
