import { describe, expect, test } from "bun:test";
import { type Asked, judge, parsePolicy } from "#api/audit/policy.ts";

const policy = (rules: string, more = "") =>
  parsePolicy(`apiVersion: audit.k8s.io/v1\nkind: Policy\n${more}\nrules:\n${rules}`);

const ask = (more: Partial<Asked> = {}): Asked => ({
  user: { name: "jane", groups: ["devs"] },
  verb: "get",
  path: "/api/v1/namespaces/shop/pods/a/log",
  target: { group: "", plural: "pods", subresource: "log", namespace: "shop", name: "a" },
  ...more,
});

const levelOf = (rules: string, asked: Asked) => judge(policy(rules), asked).level;

describe("the first rule that fits decides", () => {
  test("and none that fits means nothing is written", () => {
    const rules = "- {level: Request, users: [bob]}\n- {level: Metadata}\n- {level: None}";
    expect(levelOf(rules, ask())).toBe("Metadata");
    expect(levelOf("- {level: Request, users: [bob]}", ask())).toBe("None");
  });

  test.each<[string, boolean]>([
    ["users: [jane]", true],
    ["users: [bob]", false],
    ["userGroups: [ops, devs]", true],
    ["userGroups: [ops]", false],
    ["verbs: [get, list]", true],
    ["verbs: ['*']", true],
    ["verbs: [create]", false],
    ["namespaces: [shop]", true],
    ["namespaces: ['']", false],
    ["resources: [{group: ''}]", true],
    ["resources: [{group: apps}]", false],
    ["resources: [{group: '', resources: [pods]}]", false],
    ["resources: [{group: '', resources: [pods/log]}]", true],
    ["resources: [{group: '', resources: ['pods/*']}]", true],
    ["resources: [{group: '', resources: ['*/log']}]", true],
    ["resources: [{group: '', resources: ['*']}]", true],
    ["resources: [{group: '', resources: [pods/log], resourceNames: [a]}]", true],
    ["resources: [{group: '', resources: [pods/log], resourceNames: [b]}]", false],
    ["nonResourceURLs: ['*']", false],
    ["users: [jane], verbs: [create]", false],
  ])("{%s} fits: %p", (rule, fits) => {
    expect(levelOf(`- {level: Metadata, ${rule}}`, ask())).toBe(fits ? "Metadata" : "None");
  });

  test("paths that are no resource have rules of their own", () => {
    const metrics = ask({ path: "/metrics/a", target: undefined });
    expect(levelOf("- {level: Metadata, nonResourceURLs: ['/metrics*']}", metrics)).toBe(
      "Metadata",
    );
    expect(levelOf("- {level: Metadata, nonResourceURLs: [/metrics]}", metrics)).toBe("None");
    expect(levelOf("- {level: Metadata, resources: [{group: ''}]}", metrics)).toBe("None");
  });

  test("stages and managers are left out as rule and policy say", () => {
    const whole = "omitStages: [RequestReceived]\nomitManagedFields: true";
    const rules = policy(
      "- {level: Metadata, omitStages: [Panic], omitManagedFields: false}",
      whole,
    );
    const { omitStages, omitManagedFields } = judge(rules, ask());
    expect([[...omitStages], omitManagedFields]).toEqual([["RequestReceived", "Panic"], false]);
  });
});

describe("a policy that cannot be used is refused in one line", () => {
  test.each<[string, string]>([
    ["a: [", "not YAML"],
    ["apiVersion: audit.k8s.io/v1\nkind: Policy", "rules: "],
    ["apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: []", "at least one rule"],
    ["apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: All}]", "rules.0.level"],
    ["apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, who: x}]", "who"],
    [
      "apiVersion: audit.k8s.io/v1\nkind: Policy\n" +
        "rules: [{level: None, nonResourceURLs: [/a], namespaces: [b]}]",
      "either for resources or for nonResourceURLs",
    ],
  ])("%j", (text, words) => {
    expect(() => parsePolicy(text)).toThrow(words);
  });
});
