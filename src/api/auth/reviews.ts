/** Questions about who somebody is and what they may do; answered at once, never stored. */
import type { Access } from "#api/auth/authorize.ts";
import { isMaster } from "#api/auth/authorize.ts";
import { rulesFor } from "#api/auth/rbac.ts";
import { selectorOf } from "#api/auth/selected.ts";
import type { Call, Core, UserInfo } from "#api/core.ts";
import { timestamp } from "#api/core.ts";
import { readAdopted } from "#api/decode.ts";
import { refuse } from "#api/errors.ts";
import { respond } from "#api/respond.ts";
import { type Cause, forbidden, invalid, required } from "#resources/field.ts";
import type { ApiObject } from "#resources/meta.ts";
import type {
  FieldSelectorAttributes,
  PolicyRule,
  SelfSubjectRulesReview,
  SubjectAccessReview,
  SubjectAccessReviewSpec,
  TokenReview,
} from "#resources/types.gen.ts";

/** Dates like upstream's: an answer is no stored object. */
const answer = (call: Call, object: ApiObject, rest: object) => {
  const { resource } = call;
  return respond(
    call,
    { ...object, kind: resource.kind.kind, apiVersion: resource.apiVersion, ...rest },
    201,
  );
};

type Wanted = Pick<SubjectAccessReviewSpec, "resourceAttributes" | "nonResourceAttributes">;

function accessOf(user: UserInfo, spec: Wanted): Access {
  const { resourceAttributes: about, nonResourceAttributes: path } = spec;
  if (path !== undefined) return { user, verb: path.verb ?? "", path: path.path ?? "" };
  const { verb = "", group, version, resource, subresource, namespace, name } = about ?? {};
  const fieldSelector = selectorOf(about?.fieldSelector);
  const labelSelector = selectorOf(about?.labelSelector);
  return {
    user,
    verb,
    group: group ?? "",
    ...(version && { version }),
    plural: resource ?? "",
    ...(subresource && { subresource }),
    ...(namespace && { namespace }),
    ...(name && { name }),
    ...(fieldSelector !== "" && { fieldSelector }),
    ...(labelSelector !== "" && { labelSelector }),
  };
}

function selectorCauses(field: string, selector: FieldSelectorAttributes | undefined): Cause[] {
  const { rawSelector = "", requirements = [] } = selector ?? {};
  if (rawSelector === "" || requirements.length === 0) return [];
  const detail = "may not specified at the same time as requirements";
  return [invalid(`spec.resourceAttributes.${field}.rawSelector`, rawSelector, detail)];
}

function checkSpec(spec: Wanted): Cause[] {
  if (spec.resourceAttributes !== undefined && spec.nonResourceAttributes !== undefined) {
    const detail = "cannot be specified in combination with resourceAttributes";
    return [invalid("spec.nonResourceAttributes", spec.nonResourceAttributes, detail)];
  }
  if (spec.resourceAttributes === undefined && spec.nonResourceAttributes === undefined) {
    const detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
    return [invalid("spec.resourceAttributes", null, detail)];
  }
  return [
    ...selectorCauses("fieldSelector", spec.resourceAttributes?.fieldSelector),
    ...selectorCauses("labelSelector", spec.resourceAttributes?.labelSelector),
  ];
}

async function judge(core: Core, user: UserInfo, spec: Wanted): Promise<object> {
  const { verdict, reason } = await core.authorizer.decide(accessOf(user, spec));
  return {
    allowed: verdict === "allow",
    ...(verdict === "deny" && { denied: true }),
    ...(reason && { reason }),
  };
}

export async function selfSubjectAccessReview(core: Core, call: Call): Promise<Response> {
  const review = (await readAdopted(call)) as SubjectAccessReview;
  review.spec ??= {};
  const causes = checkSpec(review.spec);
  if (causes.length > 0) throw refuse.invalid(call.resource.kind, "", causes);
  return answer(call, review, { status: await judge(core, call.user, review.spec) });
}

function subjectOf(spec: SubjectAccessReviewSpec): UserInfo {
  const { user = "", uid, groups = [], extra } = spec;
  return { name: user, groups, ...(uid && { uid }), ...(extra !== undefined && { extra }) };
}

/** With a namespace in the path it is a LocalSubjectAccessReview. */
export async function subjectAccessReview(core: Core, call: Call): Promise<Response> {
  const review = (await readAdopted(call)) as SubjectAccessReview;
  const spec = review.spec ?? {};
  review.spec = spec;
  const causes = checkSpec(spec);
  const { namespace } = call.target;
  if (namespace !== undefined) {
    if (spec.nonResourceAttributes !== undefined) {
      causes.push(forbidden("spec.nonResourceAttributes", "disallowed on this kind of request"));
    }
    const given = spec.resourceAttributes?.namespace;
    if (spec.resourceAttributes !== undefined && given !== namespace) {
      causes.push(
        invalid("spec.resourceAttributes.namespace", given ?? "", "must match metadata.namespace"),
      );
    }
  }
  if (!spec.user && (spec.groups ?? []).length === 0) {
    causes.push(
      invalid("spec.user", spec.user ?? "", "at least one of user or group must be specified"),
    );
  }
  if (causes.length > 0) throw refuse.invalid(call.resource.kind, "", causes);
  return answer(call, review, { status: await judge(core, subjectOf(spec), spec) });
}

export async function selfSubjectRulesReview(core: Core, call: Call): Promise<Response> {
  const review = (await readAdopted(call)) as SelfSubjectRulesReview;
  const { namespace } = review.spec ?? {};
  if (!namespace) throw refuse.badRequest("no namespace on request");
  const all: PolicyRule[] = isMaster(call.user)
    ? [
        { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
        { verbs: ["*"], nonResourceURLs: ["*"] },
      ]
    : rulesFor(core.roles, call.user, namespace);
  const resourceRules = all
    .filter((rule) => (rule.resources ?? []).length > 0)
    .map(({ verbs, apiGroups, resources, resourceNames }) => ({
      verbs,
      apiGroups,
      resources,
      ...(resourceNames && { resourceNames }),
    }));
  const nonResourceRules = all
    .filter((rule) => (rule.nonResourceURLs ?? []).length > 0)
    .map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs }));
  return answer(call, review, {
    status: { resourceRules, nonResourceRules, incomplete: false },
  });
}

const shown = ({ name, uid, groups, extra }: UserInfo): object => ({
  username: name,
  ...(uid && { uid }),
  groups,
  ...(extra && { extra }),
});

export async function selfSubjectReview(core: Core, call: Call): Promise<Response> {
  const review = await readAdopted(call);
  const metadata = { creationTimestamp: timestamp(core.clock.now()) };
  return answer(call, review, { metadata, status: { userInfo: shown(call.user) } });
}

export async function tokenReview(core: Core, call: Call): Promise<Response> {
  const review = (await readAdopted(call)) as TokenReview;
  const { token = "", audiences } = review.spec ?? {};
  if (token === "") throw refuse.invalid(call.resource.kind, "", [required("spec.token")]);
  const asked = audiences !== undefined && audiences.length > 0 ? audiences : undefined;
  const identity = await core.authenticator.identify(token, asked);
  if (identity === undefined) {
    return answer(call, review, {
      status: { user: {}, error: "[invalid bearer token]" },
    });
  }
  return answer(call, review, {
    status: {
      authenticated: true,
      user: shown(identity.user),
      audiences: identity.audiences,
    },
  });
}
