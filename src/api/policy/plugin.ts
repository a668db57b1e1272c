/**
 * Rules of the cluster in CEL.
 * https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
 */
import type { Attributes, MakePlugin } from "#api/admission.ts";
import { peek } from "#api/codec.ts";
import type { Core } from "#api/core.ts";
import { ApiError, refuse } from "#api/errors.ts";
import { follow } from "#api/follow.ts";
import { type Input, inputOf } from "#api/policy/evaluate.ts";
import { type Breach, Judge, type Judgement } from "#api/policy/judge.ts";
import { matchingVersion, seenIn } from "#api/policy/match.ts";
import { paramsOf } from "#api/policy/params.ts";
import { createTypeChecking } from "#api/policy/status.ts";
import { policyCauses } from "#api/policy/written.ts";
import type { Resource } from "#api/registry.ts";
import { messageOf } from "#base/errors.ts";
import type { Stored } from "#resources/meta.ts";
import type {
  Namespace,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from "#resources/types.gen.ts";

const GROUP = "admissionregistration.k8s.io";
const POLICIES = `${GROUP}/validatingadmissionpolicies`;
const BINDINGS = `${GROUP}/validatingadmissionpolicybindings`;

type Policy = Stored<ValidatingAdmissionPolicy>;
type Binding = Stored<ValidatingAdmissionPolicyBinding>;

const CODES: Readonly<Record<string, number>> = {
  Unauthorized: 401,
  Forbidden: 403,
  RequestEntityTooLarge: 413,
  Invalid: 422,
};

/** Policies that forbade their own end could not be got rid of. */
const isExempt = ({ resource }: Attributes): boolean =>
  resource.bucket === POLICIES || resource.bucket === BINDINGS;

interface Denial extends Breach {
  readonly policy: string;
  readonly binding: string;
}

function refusal({ resource, name }: Attributes, denial: Denial): ApiError {
  const { policy, binding, message, reason } = denial;
  const who = `ValidatingAdmissionPolicy '${policy}' with binding '${binding}'`;
  const text = `${who} denied request: ${message}`;
  const { group, plural } = resource.kind;
  const about = group === "" ? plural : `${plural}.${group}`;
  return new ApiError(
    CODES[reason] ?? 422,
    reason,
    `${about} ${JSON.stringify(name)} is forbidden: ${text}`,
    { name, ...(group && { group }), kind: plural, causes: [{ message: text }] },
  );
}

/** Sees each request once in each version that a rule speaks of. */
class Views {
  readonly #attributes: Attributes;
  readonly #namespace: () => Promise<Stored<Namespace> | undefined>;
  readonly #inputs = new Map<Resource, Promise<Input>>();

  constructor(attributes: Attributes, namespace: () => Promise<Stored<Namespace> | undefined>) {
    this.#attributes = attributes;
    this.#namespace = namespace;
  }

  in(version: Resource): Promise<Input> {
    let input = this.#inputs.get(version);
    if (input === undefined) {
      input = this.#make(version);
      this.#inputs.set(version, input);
    }
    return input;
  }

  async #make(version: Resource): Promise<Input> {
    const attributes = this.#attributes;
    return inputOf({
      attributes,
      object: await seenIn(version, attributes.object),
      old: await seenIn(version, attributes.old),
      namespaceObject: await this.#namespace(),
    });
  }
}

async function namespaceOf(
  core: Core,
  { namespace }: Attributes,
): Promise<Stored<Namespace> | undefined> {
  if (namespace === undefined) return undefined;
  const item = await core.store.get(`core/namespaces/${namespace}`);
  return item === undefined ? undefined : peek<Namespace>(item);
}

async function judgeBinding(
  core: Core,
  policy: Policy,
  binding: Binding,
  version: Resource,
  views: Views,
  attributes: Attributes,
): Promise<Judgement[]> {
  const spec = policy.spec ?? {};
  const judge = new Judge(spec, core.authorizer);
  try {
    const params = await paramsOf(
      core,
      spec.paramKind,
      binding.spec?.paramRef,
      attributes.namespace,
    );
    const input = await views.in(version);
    const all: Judgement[] = [];
    for (const each of params) all.push(await judge.judge(input, each));
    return all;
  } catch (error) {
    return [judge.failure(`failed to configure binding: ${messageOf(error)}`)];
  }
}

/** Warns, and notes for the audit; answers what forbids the request. */
function act(
  policy: string,
  binding: Binding,
  judgements: readonly Judgement[],
  attributes: Attributes,
): Denial[] {
  const { name } = binding.metadata;
  const actions = binding.spec?.validationActions ?? [];
  const denials: Denial[] = [];
  for (const { breaches, annotations } of judgements) {
    for (const [key, value] of annotations) attributes.annotate?.(`${policy}/${key}`, value);
    for (const breach of breaches) {
      if (actions.includes("Warn")) {
        attributes.warnings.push(
          `Validation failed for ValidatingAdmissionPolicy '${policy}' with binding ` +
            `'${name}': ${breach.message}`,
        );
      }
      if (actions.includes("Deny")) denials.push({ ...breach, policy, binding: name });
    }
    if (breaches.length > 0 && actions.includes("Audit")) {
      attributes.annotate?.(
        "validation.policy.admission.k8s.io/validation_failure",
        JSON.stringify(
          breaches.map(({ message, expression }) => ({
            message,
            policy,
            binding: name,
            expressionIndex: expression ?? "",
            validationActions: actions,
          })),
        ),
      );
    }
  }
  return denials;
}

async function judgePolicy(
  core: Core,
  policy: Policy,
  bindings: readonly Binding[],
  views: Views,
  attributes: Attributes,
): Promise<Denial[]> {
  const version = await matchingVersion(core, policy.spec?.matchConstraints, attributes);
  if (version === undefined) return [];
  const denials: Denial[] = [];
  for (const binding of bindings) {
    const { matchResources } = binding.spec ?? {};
    const meant = await matchingVersion(core, matchResources, attributes);
    if (meant === undefined) continue;
    const judged = await judgeBinding(core, policy, binding, version, views, attributes);
    denials.push(...act(policy.metadata.name, binding, judged, attributes));
  }
  return denials;
}

function checkWritten({ object, old, resource, name }: Attributes): void {
  const { spec } = object as ValidatingAdmissionPolicy;
  const before = (old as ValidatingAdmissionPolicy | undefined)?.spec;
  const causes = policyCauses(spec ?? {}, before);
  if (causes.length > 0) throw refuse.invalid(resource.kind, name, causes);
}

export const validatingPolicies: MakePlugin = (core) => {
  const { store, log } = core;
  const defined = follow<ValidatingAdmissionPolicy>(store, log, POLICIES, () => checking.look());
  const bound = follow<ValidatingAdmissionPolicyBinding>(store, log, BINDINGS);
  const checking = createTypeChecking(core, () => defined.all());

  async function validateAll(attributes: Attributes): Promise<void> {
    const views = new Views(attributes, () => namespaceOf(core, attributes));
    const denials: Denial[] = [];
    for (const policy of defined.all()) {
      const { name } = policy.metadata;
      const bindings = bound.all().filter(({ spec }) => spec?.policyName === name);
      if (bindings.length === 0) continue;
      denials.push(...(await judgePolicy(core, policy, bindings, views, attributes)));
    }
    const [first] = denials;
    if (first !== undefined) throw refusal(attributes, first);
  }

  return {
    name: "ValidatingAdmissionPolicy",
    async start() {
      const ends = [await defined.start(), await bound.start()];
      checking.look();
      return () => {
        checking.end();
        for (const end of ends) end();
      };
    },
    validate(attributes): void | Promise<void> {
      const { resource, object, subresource } = attributes;
      if (resource.bucket === POLICIES && object !== undefined && subresource === "") {
        checkWritten(attributes);
      }
      if (isExempt(attributes) || bound.all().length === 0) return;
      return validateAll(attributes);
    },
  };
};
