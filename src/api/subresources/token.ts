/**
 * Makes tokens of a service account (TokenRequest).
 * https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
 */
import { checkNodeToken } from "#api/admission/nodepods.ts";
import { nodeNameOf } from "#api/auth/nodeauthorizer.ts";
import type { Binding, Reference } from "#api/auth/serviceaccounts.ts";
import { userNameOf } from "#api/auth/serviceaccounts.ts";
import { peek } from "#api/codec.ts";
import { type Call, type Core, timestamp } from "#api/core.ts";
import { readAdopted } from "#api/decode.ts";
import { refuse } from "#api/errors.ts";
import { mustGet } from "#api/read.ts";
import { describe } from "#api/registry.ts";
import { respond } from "#api/respond.ts";
import type { Subresource } from "#api/subresources/subresource.ts";
import { type Cause, invalid } from "#resources/field.ts";
import { defineKind } from "#resources/kind.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod, TokenRequest } from "#resources/types.gen.ts";

const TOKEN_REQUEST = describe(
  defineKind<TokenRequest>({
    group: "authentication.k8s.io",
    version: "v1",
    kind: "TokenRequest",
    plural: "tokenrequests",
    namespaced: true,
    schema: "io.k8s.api.authentication.v1.TokenRequest",
  }),
);

const SECONDS_MIN = 600;
const SECONDS_MAX = 2 ** 32;
const SECONDS_DEFAULT = 3600;
/** What the API asks for pods; such a token lives a year, for programs that read it only once. */
const SECONDS_OF_PODS = 3607;
const SECONDS_EXTENDED = 365 * 24 * 60 * 60;

function check(seconds: number): Cause[] {
  const field = "spec.expirationSeconds";
  if (seconds < SECONDS_MIN) {
    return [invalid(field, seconds, "may not specify a duration less than 10 minutes")];
  }
  if (seconds > SECONDS_MAX) {
    return [invalid(field, seconds, "may not specify a duration larger than 2^32 seconds")];
  }
  return [];
}

type Bound = Pick<Binding, "pod" | "secret" | "node">;

const referenceTo = (object: Stored): Reference => ({
  name: object.metadata.name,
  uid: object.metadata.uid,
});

async function find(core: Core, plural: string, key: string, name: string): Promise<Stored> {
  const item = await core.store.get(`core/${plural}/${key}`);
  if (item === undefined) throw refuse.notFound({ group: "", plural, kind: "" }, name);
  return peek(item);
}

async function bindPod(core: Core, namespace: string, account: string, name: string) {
  const pod = (await find(core, "pods", `${namespace}/${name}`, name)) as Stored<Pod>;
  if (pod.spec?.serviceAccountName !== account) {
    throw refuse.badRequest(
      `cannot bind token for serviceaccount "${account}" to pod running with different ` +
        `serviceaccount name.`,
    );
  }
  const { nodeName } = pod.spec;
  const node = nodeName ? await core.store.get(`core/nodes/${nodeName}`) : undefined;
  const bound: Bound = {
    pod: referenceTo(pod),
    ...(nodeName && { node: node === undefined ? { name: nodeName } : referenceTo(peek(node)) }),
  };
  return { bound, uid: pod.metadata.uid };
}

/** What the token dies with. */
async function boundTo(core: Core, call: Call, request: TokenRequest): Promise<Bound> {
  const ref = request.spec.boundObjectRef;
  if (ref === undefined) return {};
  const { namespace = "", name: account = "" } = call.target;
  const { kind = "", name = "", apiVersion = "v1" } = ref;
  let found: { bound: Bound; uid: string };
  if (apiVersion === "v1" && kind === "Pod") {
    found = await bindPod(core, namespace, account, name);
  } else if (apiVersion === "v1" && kind === "Secret") {
    const secret = await find(core, "secrets", `${namespace}/${name}`, name);
    found = { bound: { secret: referenceTo(secret) }, uid: secret.metadata.uid };
  } else if (apiVersion === "v1" && kind === "Node") {
    const node = await find(core, "nodes", name, name);
    found = { bound: { node: referenceTo(node) }, uid: node.metadata.uid };
  } else {
    throw refuse.badRequest(`cannot bind token to object of type ${apiVersion}, Kind=${kind}`);
  }
  if (ref.uid && ref.uid !== found.uid) {
    throw refuse.conflict(
      { group: "", plural: kind, kind },
      name,
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. ` +
        "The object might have been deleted and then recreated",
    );
  }
  return found.bound;
}

async function make(core: Core, call: Call): Promise<Response> {
  const { namespace = "", name = "" } = call.target;
  const request = (await readAdopted(call, TOKEN_REQUEST)) as TokenRequest;
  request.spec ??= { audiences: [] };
  const account = peek(await mustGet(core, call));
  const { settings, clock, random } = core;
  const asked = request.spec.audiences ?? [];
  const audiences = asked.length > 0 ? asked : [...settings.audiences];
  const seconds = request.spec.expirationSeconds ?? SECONDS_DEFAULT;
  const causes = check(seconds);
  if (causes.length > 0) throw refuse.invalid(TOKEN_REQUEST.kind, "", causes);
  const nodeName = nodeNameOf(call.user);
  if (nodeName !== undefined) {
    await checkNodeToken(core, { user: call.user, nodeName, namespace, account: name }, request);
  }
  const bound = await boundTo(core, call, request);
  const now = Math.floor(clock.now() / 1000);
  const ours = audiences.every((audience) => settings.audiences.includes(audience));
  const extended = bound.pod !== undefined && seconds === SECONDS_OF_PODS && ours;
  const binding: Binding = {
    namespace,
    serviceaccount: referenceTo(account),
    ...bound,
    ...(extended && { warnafter: now + seconds }),
  };
  const token = await core.signer.sign({
    iss: settings.issuer,
    sub: userNameOf(namespace, name),
    aud: audiences,
    iat: now,
    nbf: now,
    exp: now + (extended ? SECONDS_EXTENDED : seconds),
    jti: random.uuid(),
    "kubernetes.io": binding,
  });
  const metadata = {
    name,
    namespace,
    uid: account.metadata.uid,
    creationTimestamp: timestamp(clock.now()),
  };
  const { boundObjectRef } = request.spec;
  return respond(
    call,
    {
      kind: "TokenRequest",
      apiVersion: "authentication.k8s.io/v1",
      metadata,
      spec: { audiences, expirationSeconds: seconds, ...(boundObjectRef && { boundObjectRef }) },
      status: { token, expirationTimestamp: timestamp((now + seconds) * 1000) },
    },
    201,
  );
}

export const token: Subresource = {
  name: "token",
  of: (resource) => resource.bucket === "core/serviceaccounts",
  kind: { group: "authentication.k8s.io", version: "v1", kind: "TokenRequest" },
  verbs: ["create"],
  async serve(core, call) {
    if (call.verb !== "create") throw refuse.method();
    return make(core, call);
  },
};
