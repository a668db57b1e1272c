/**
 * Kinds that are asked and answered but never stored: only `create`. The API answers them itself.
 */
import { defineKind } from "#resources/kind.ts";
import type {
  Binding,
  LocalSubjectAccessReview,
  SelfSubjectAccessReview,
  SelfSubjectReview,
  SelfSubjectRulesReview,
  SubjectAccessReview,
  TokenReview,
} from "#resources/types.gen.ts";

/** All verbs but `create`. */
const createOnly = ["get", "list", "watch", "update", "patch", "delete", "deletecollection"];

export const bindings = defineKind<Binding>({
  group: "",
  version: "v1",
  kind: "Binding",
  plural: "bindings",
  namespaced: true,
  schema: "io.k8s.api.core.v1.Binding",
  verbsLeftOut: createOnly,
});

export const tokenReviews = defineKind<TokenReview>({
  group: "authentication.k8s.io",
  version: "v1",
  kind: "TokenReview",
  plural: "tokenreviews",
  namespaced: false,
  schema: "io.k8s.api.authentication.v1.TokenReview",
  verbsLeftOut: createOnly,
});

export const selfSubjectReviews = defineKind<SelfSubjectReview>({
  group: "authentication.k8s.io",
  version: "v1",
  kind: "SelfSubjectReview",
  plural: "selfsubjectreviews",
  namespaced: false,
  schema: "io.k8s.api.authentication.v1.SelfSubjectReview",
  verbsLeftOut: createOnly,
});

export const subjectAccessReviews = defineKind<SubjectAccessReview>({
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SubjectAccessReview",
  plural: "subjectaccessreviews",
  namespaced: false,
  schema: "io.k8s.api.authorization.v1.SubjectAccessReview",
  verbsLeftOut: createOnly,
});

export const selfSubjectAccessReviews = defineKind<SelfSubjectAccessReview>({
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SelfSubjectAccessReview",
  plural: "selfsubjectaccessreviews",
  namespaced: false,
  schema: "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
  verbsLeftOut: createOnly,
});

export const selfSubjectRulesReviews = defineKind<SelfSubjectRulesReview>({
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SelfSubjectRulesReview",
  plural: "selfsubjectrulesreviews",
  namespaced: false,
  schema: "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
  verbsLeftOut: createOnly,
});

export const localSubjectAccessReviews = defineKind<LocalSubjectAccessReview>({
  group: "authorization.k8s.io",
  version: "v1",
  kind: "LocalSubjectAccessReview",
  plural: "localsubjectaccessreviews",
  namespaced: true,
  schema: "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
  verbsLeftOut: createOnly,
});
