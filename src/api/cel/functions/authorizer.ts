/**
 * May somebody do something?
 * https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-authorizer-library The answer
 * takes time and expressions take none: the first try ends with `Undecided`, and whoever evaluates
 * asks, waits and goes on with the answer at hand.
 */
import type { Access, Opinion } from "#api/auth/authorize.ts";
import { method, type Overload } from "#api/cel/engine/overload.ts";
import { Suspended } from "#api/cel/engine/problems.ts";
import { bool, objectOf, opaque, string, type Type } from "#api/cel/engine/types.ts";
import { Extension, type Value } from "#api/cel/engine/values.ts";
import { instance, text } from "#api/cel/functions/arguments.ts";
import type { UserInfo } from "#api/core.ts";

export const authorizerType = opaque("kubernetes.authorization.Authorizer");
const pathType = opaque("kubernetes.authorization.PathCheck");
const groupType = opaque("kubernetes.authorization.GroupCheck");
const resourceType = opaque("kubernetes.authorization.ResourceCheck");
const decisionType = opaque("kubernetes.authorization.Decision");

/** Decisions by question. */
export type Decisions = Map<string, Opinion>;

/** An answer is needed that is not at hand. */
export class Undecided extends Suspended {
  override name = "Undecided";
  readonly key: string;
  readonly access: Access;
  constructor(key: string, access: Access) {
    super("undecided");
    this.key = key;
    this.access = access;
  }
}

class Question extends Extension {
  readonly type: Type;
  readonly user: UserInfo;
  readonly decisions: Decisions;
  readonly about: Partial<Access>;

  constructor(type: Type, user: UserInfo, decisions: Decisions, about: Partial<Access> = {}) {
    super();
    this.type = type;
    this.user = user;
    this.decisions = decisions;
    this.about = about;
  }

  with(type: Type, about: Partial<Access>): Question {
    return new Question(type, this.user, this.decisions, { ...this.about, ...about });
  }

  equals(other: Extension): boolean {
    return (
      other instanceof Question &&
      other.type.name === this.type.name &&
      JSON.stringify([other.user, other.about]) === JSON.stringify([this.user, this.about])
    );
  }

  check(verb: string): Decision {
    const access: Access = { ...this.about, user: this.user, verb };
    const key = JSON.stringify(access);
    const opinion = this.decisions.get(key);
    if (opinion === undefined) throw new Undecided(key, access);
    return new Decision(opinion);
  }
}

class Decision extends Extension {
  readonly type = decisionType;
  readonly opinion: Opinion;

  constructor(opinion: Opinion) {
    super();
    this.opinion = opinion;
  }

  equals(other: Extension): boolean {
    return other instanceof Decision && other.opinion.verdict === this.opinion.verdict;
  }
}

class Authorizer extends Question {
  readonly #requested: Partial<Access>;

  constructor(user: UserInfo, decisions: Decisions, requested: Partial<Access>) {
    super(authorizerType, user, decisions);
    this.#requested = requested;
  }

  override field(name: string): Value | undefined {
    if (name !== "requestResource") return undefined;
    return new Question(resourceType, this.user, this.decisions, this.#requested);
  }
}

/** The `authorizer` variable; `requested` is what its `requestResource` is about. */
export const authorizerOf = (
  user: UserInfo,
  decisions: Decisions,
  requested: Partial<Access>,
): Value => new Authorizer(user, decisions, requested);

export const authorizerVariable: Type = objectOf(authorizerType.name, (name) =>
  name === "requestResource" ? resourceType : undefined,
);

const question = (value: Value | undefined): Question => instance(value, Question);

const serviceAccount = (namespace: string, name: string): UserInfo => ({
  name: `system:serviceaccount:${namespace}:${name}`,
  groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
});

/** Only two fit into one expression, as upstream has it. */
const checks = { cost: (): number => 350_000 };

const narrow = (name: "subresource" | "namespace" | "name"): Overload =>
  method(name, [resourceType, string], resourceType, ([a, b]) =>
    question(a).with(resourceType, { [name]: text(b) }),
  );

export const authorizerFunctions: readonly Overload[] = [
  method("path", [authorizerType, string], pathType, ([a, b]) =>
    question(a).with(pathType, { path: text(b) }),
  ),
  method("group", [authorizerType, string], groupType, ([a, b]) =>
    question(a).with(groupType, { group: text(b) }),
  ),
  method("serviceAccount", [authorizerType, string, string], authorizerType, ([a, b, c]) => {
    return new Question(authorizerType, serviceAccount(text(b), text(c)), question(a).decisions);
  }),
  method("resource", [groupType, string], resourceType, ([a, b]) =>
    question(a).with(resourceType, { version: "*", plural: text(b) }),
  ),
  narrow("subresource"),
  narrow("namespace"),
  narrow("name"),
  method("fieldSelector", [resourceType, string], resourceType, ([a, b]) =>
    question(a).with(resourceType, { fieldSelector: text(b) }),
  ),
  // No authorizer of ours looks at labels: to leave them out only asks for more.
  method("labelSelector", [resourceType, string], resourceType, ([a]) => question(a)),
  method("check", [pathType, string], decisionType, ([a, b]) => question(a).check(text(b)), checks),
  method(
    "check",
    [resourceType, string],
    decisionType,
    ([a, b]) => question(a).check(text(b)),
    checks,
  ),
  method("allowed", [decisionType], bool, ([a]) => {
    return instance(a, Decision).opinion.verdict === "allow";
  }),
  method("reason", [decisionType], string, ([a]) => instance(a, Decision).opinion.reason ?? ""),
  method("errored", [decisionType], bool, () => false),
  method("error", [decisionType], string, () => ""),
];
