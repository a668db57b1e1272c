/** Resources that are not stored: questions that are answered at once. */
import {
  selfSubjectAccessReview,
  selfSubjectReview,
  selfSubjectRulesReview,
  subjectAccessReview,
  tokenReview,
} from "#api/auth/reviews.ts";
import type { Call, Core } from "#api/core.ts";
import { refuse } from "#api/errors.ts";
import { negotiate } from "#api/negotiate.ts";
import type { Resource } from "#api/registry.ts";
import { bind } from "#api/subresources/binding.ts";
import { serveUsage } from "#api/usage.ts";

export type Virtual = (core: Core, call: Call) => Promise<Response>;

const creates =
  (answer: Virtual): Virtual =>
  async (core, call) => {
    if (call.verb !== "create") throw refuse.method();
    // An answer is no stored object: it has no table and no metadata of its own.
    if (negotiate(call.request.headers.get("accept")).as !== "object") {
      throw refuse.notAcceptable(["application/json", "application/yaml"]);
    }
    return answer(core, call);
  };

const table: Record<string, Virtual> = {
  "core/bindings": creates((core, call) => bind(core, call, undefined)),
  "metrics.k8s.io/nodes": serveUsage,
  "metrics.k8s.io/pods": serveUsage,
  "authentication.k8s.io/tokenreviews": creates(tokenReview),
  "authentication.k8s.io/selfsubjectreviews": creates(selfSubjectReview),
  "authorization.k8s.io/subjectaccessreviews": creates(subjectAccessReview),
  "authorization.k8s.io/localsubjectaccessreviews": creates(subjectAccessReview),
  "authorization.k8s.io/selfsubjectaccessreviews": creates(selfSubjectAccessReview),
  "authorization.k8s.io/selfsubjectrulesreviews": creates(selfSubjectRulesReview),
};

export const virtualFor = (resource: Resource): Virtual | undefined => table[resource.bucket];
