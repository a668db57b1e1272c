import { describe, expect, test } from "bun:test";
import { checkRules } from "#api/cel/rulecheck.ts";
import { validateRules } from "#api/cel/rules.ts";
import type { CelSchema } from "#api/cel/schema.ts";
import type { ValidationRule } from "#resources/types.gen.ts";

const integer: CelSchema = { type: "integer" };
const text: CelSchema = { type: "string" };
const list = (items: CelSchema, maxItems?: number): CelSchema => ({
  type: "array",
  items,
  ...(maxItems !== undefined && { maxItems }),
});

const spec = (rules: Array<ValidationRule | string>, properties: Record<string, CelSchema>) => ({
  type: "object" as const,
  properties: {
    spec: {
      type: "object" as const,
      properties,
      "x-kubernetes-validations": rules.map((rule) => (typeof rule === "string" ? { rule } : rule)),
    },
  },
});

const messages = async (schema: CelSchema, object: unknown, old?: unknown): Promise<string[]> =>
  (await validateRules(schema, object, old)).map(({ field, message }) => `${field}: ${message}`);

const problems = (schema: CelSchema): string[] =>
  checkRules(schema, "schema").map(({ field, message }) => `${field}: ${message}`);

describe("rules at work", () => {
  const sums = spec(["self.x + self.y > 0", "self.names.all(n, n.startsWith('a'))"], {
    x: integer,
    y: integer,
    names: list(text),
  });

  test("what holds makes no cause", async () => {
    expect(await messages(sums, { spec: { x: 1, y: 0, names: ["a1"] } })).toEqual([]);
  });

  test("what does not hold is told by its rule", async () => {
    expect(await messages(sums, { spec: { x: 0, y: 0, names: [] } })).toEqual([
      'spec: Invalid value: "object": failed rule: self.x + self.y > 0',
    ]);
  });

  test("what is missing is an error of the rule", async () => {
    expect(await messages(sums, { spec: { x: 1, names: [] } })).toEqual([
      'spec: Invalid value: "object": no such key: y evaluating rule: self.x + self.y > 0',
    ]);
  });

  test("messages, reasons and paths are the rule's own", async () => {
    const schema = spec(
      [
        { rule: "self.x > 0", message: "x must be positive", reason: "FieldValueForbidden" },
        { rule: "self.x > 1", messageExpression: "'x is ' + string(self.x)", fieldPath: ".x" },
        { rule: "self.x > 2", message: "plain", messageExpression: "string(1 / (self.x * 0))" },
        { rule: "self.x > 3", reason: "FieldValueRequired" },
      ],
      { x: integer },
    );
    expect(await messages(schema, { spec: { x: 0 } })).toEqual([
      "spec: Forbidden: x must be positive",
      'spec.x: Invalid value: "object": x is 0',
      'spec: Invalid value: "object": plain',
      "spec: Required value: failed rule: self.x > 3",
    ]);
  });

  test("names that are no identifiers are escaped", async () => {
    const rule = "self.a__dash__b == 1 && self.__namespace__ == 'x' && has(self.c__dot__d)";
    const schema = spec([rule], { "a-b": integer, namespace: text, "c.d": text });
    expect(await messages(schema, { spec: { "a-b": 1, namespace: "x", "c.d": "" } })).toEqual([]);
  });

  test("a field that is null is not there; an item of a list or a map is", async () => {
    const nullable = { ...text, nullable: true };
    const rules = [
      "!has(self.a) && !has(self.b) && has(self.c)",
      "self.m.size() == 2 && 'x' in self.m && type(self.m['x']) == null_type",
      "self.l.size() == 1 && type(self.l[0]) == null_type",
    ];
    const schema = spec(rules, {
      ...{ a: nullable, b: nullable, c: nullable, l: { type: "array", items: nullable } },
      m: { type: "object", additionalProperties: nullable },
    });
    const given = { a: null, c: "c", m: { x: null, y: "y" }, l: [null] };
    expect(await messages(schema, { spec: given })).toEqual([]);
    expect(problems(spec(["self.a == null"], { a: nullable }))[0]).toContain(
      "found no matching overload for '_==_' applied to '(string, null)'",
    );
  });

  test("the root has a name and a kind", async () => {
    const schema: CelSchema = {
      type: "object",
      "x-kubernetes-validations": [{ rule: "self.metadata.name == 'x' && self.kind == 'K'" }],
    };
    expect(await messages(schema, { kind: "K", metadata: { name: "x" } })).toEqual([]);
    expect((await messages(schema, { kind: "K", metadata: { name: "y" } }))[0]).toStartWith(
      "<nil>: ",
    );
  });

  test("times, durations, bytes and choices of types are read by the schema", async () => {
    const rule =
      "self.at < timestamp('2030-01-01T00:00:00Z') && self.day.getFullYear() == 2020 && " +
      "self.wait == duration('90s') && self.data == b'hi' && " +
      "(type(self.port) == int ? self.port == 80 : self.port == 'http') && self.ratio == 1.0";
    const schema = spec([rule], {
      at: { type: "string", format: "date-time" },
      day: { type: "string", format: "date" },
      wait: { type: "string", format: "duration" },
      data: { type: "string", format: "byte" },
      port: { "x-kubernetes-int-or-string": true },
      ratio: { type: "number" },
    });
    const given = { at: "2020-01-01T00:00:00Z", day: "2020-05-05", wait: "1m30s", data: "aGk=" };
    expect(await messages(schema, { spec: { ...given, port: 80, ratio: 1 } })).toEqual([]);
    expect(await messages(schema, { spec: { ...given, port: "http", ratio: 1 } })).toEqual([]);
    const numbers = spec(["self.port > 'a'"], { port: { "x-kubernetes-int-or-string": true } });
    expect((await messages(numbers, { spec: { port: 80 } }))[0]).toContain(
      "'no such overload': call arguments did not match a supported operator",
    );
  });

  test("sets and keyed lists do not mind their order", async () => {
    const set: CelSchema = { ...list(text), "x-kubernetes-list-type": "set" };
    const keyed: CelSchema = {
      ...list({ type: "object", properties: { k: text, v: integer } }),
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["k"],
    };
    const schema = spec(["self.a == self.b", "(self.c + self.d).size() == 2"], {
      a: set,
      b: set,
      c: keyed,
      d: keyed,
    });
    const c = [{ k: "x", v: 1 }];
    const d = [
      { k: "y", v: 2 },
      { k: "x", v: 3 },
    ];
    expect(await messages(schema, { spec: { a: ["1", "2"], b: ["2", "1"], c, d } })).toEqual([]);
  });
});

describe("rules that look back", () => {
  const growing = spec([], { num: { ...integer, "x-kubernetes-validations": [] } });
  const num = (rule: ValidationRule): CelSchema => ({
    ...growing,
    properties: {
      spec: {
        type: "object",
        properties: { num: { ...integer, "x-kubernetes-validations": [rule] } },
      },
    },
  });

  test("run on updates only", async () => {
    const schema = num({ rule: "self > oldSelf" });
    expect(await messages(schema, { spec: { num: 1 } })).toEqual([]);
    expect(await messages(schema, { spec: { num: 9 } }, { spec: { num: 10 } })).toEqual([
      'spec.num: Invalid value: "integer": failed rule: self > oldSelf',
    ]);
  });

  test("run always where the old value is optional", async () => {
    const schema = num({ rule: "oldSelf.hasValue() || self == 0", optionalOldSelf: true });
    expect(await messages(schema, { spec: { num: 1 } })).toHaveLength(1);
    expect(await messages(schema, { spec: { num: 1 } }, { spec: { num: 5 } })).toEqual([]);
  });

  test("know the items of keyed lists", async () => {
    const item: CelSchema = {
      type: "object",
      properties: { k: text, v: integer },
      "x-kubernetes-validations": [{ rule: "self.v >= oldSelf.v" }],
    };
    const keyed: CelSchema = {
      ...list(item),
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["k"],
    };
    const schema = spec([], { l: keyed });
    const object = (v: number) => ({
      spec: {
        l: [
          { k: "new", v: 0 },
          { k: "a", v },
        ],
      },
    });
    const old = { spec: { l: [{ k: "a", v: 5 }] } };
    expect(await messages(schema, object(5), old)).toEqual([]);
    expect((await messages(schema, object(4), old))[0]).toStartWith("spec.l[1]: ");
  });

  test("what was wrong before and did not change is let be", async () => {
    const schema = spec(["self.x > 0"], { x: integer });
    const old = { spec: { x: 0 } };
    const warnings: string[] = [];
    expect(await validateRules(schema, { spec: { x: 0 } }, old, { warnings })).toEqual([]);
    expect(warnings).toHaveLength(1);
    expect(await messages(schema, { spec: { x: -1 } }, old)).toHaveLength(1);
  });
});

describe("bounds at work", () => {
  test("a rule that costs too much ends all", async () => {
    const rule = "self.large.all(x, self.large.all(y, y == x))";
    const schema = spec([rule, "self.large.size() > 9000"], { large: list(integer, 725) });
    expect(checkRules(schema, "")).toEqual([]);
    const found = await messages(schema, { spec: { large: new Array(725).fill(20) } });
    expect(found).toHaveLength(1);
    expect(found[0]).toContain("call cost exceeds limit for rule: self.large.all");
  });

  test("all rules together have one budget", async () => {
    const schema = spec(["self.l.all(x, x > 0)", "self.l.all(x, x > 0)"], { l: list(integer) });
    const causes = await validateRules(schema, { spec: { l: [1, 2, 3] } }, undefined, {
      budget: 30,
    });
    expect(causes.map(({ message }) => message).join()).toContain("running out of cost budget");
  });
});

describe("rules that take long", () => {
  const one = "self.l.all(x, self.l.all(y, x + y >= 0))";
  test.each([
    ["many", 12, one],
    ["one alone", 1, one],
    ["one of many parts", 1, new Array(100).fill("self.l.all(x, x >= 0 && x < 9000)").join(" && ")],
  ])("%s: let others have their turn, and end all the same", async (_, count, rule) => {
    const schema = spec(new Array<string>(count).fill(rule), { l: list(integer, 300) });
    let turns = 0;
    let over = false;
    const others = (): void => {
      turns += 1;
      if (!over) setImmediate(others);
    };
    setImmediate(others);
    expect(await messages(schema, { spec: { l: new Array(300).fill(1) } })).toEqual([]);
    over = true;
    expect(turns).toBeGreaterThan(count === 1 ? 2 : 12);
  });
});

describe("rules of a definition", () => {
  test("good ones make no cause", async () => {
    const schema = spec(
      [
        "self.x + self.y > 0",
        "self.a.isSorted() && self.b.isSorted() && ((self.a.sum() + self.b.sum()) % 2 == 0)",
        "self.large.all(x, self.large.all(y, y == x))",
      ],
      {
        x: integer,
        y: integer,
        a: list(integer, 1000),
        b: list(integer, 1000),
        large: list(integer, 725),
      },
    );
    expect(problems(schema)).toEqual([]);
  });

  test.each([
    ["self.z == 100", "compilation failed: ERROR: <input>:1:5: undefined field 'z'"],
    ["self = 42", "Syntax error"],
    ["self.x", "cel expression must evaluate to a bool"],
    ["self.x == 'a'", "'_==_' applied to '(int, string)'"],
    ["self.spec.x > 0", "undefined field 'spec'"],
    ["self.all(k, true)", "expression of type 'self.spec' cannot be range of a comprehension"],
  ])("%s", (rule, message) => {
    const found = problems(spec([rule], { x: integer }));
    expect(found).toHaveLength(1);
    expect(found[0]).toStartWith("schema.properties[spec].x-kubernetes-validations[0].rule: ");
    expect(found[0]).toContain(message);
  });

  test("a message must be text", async () => {
    const rule = { rule: "self.x > 0", messageExpression: "self.x" };
    expect(problems(spec([rule], { x: integer }))[0]).toContain(
      "x-kubernetes-validations[0].messageExpression: ",
    );
  });

  test("lists without bounds multiply what a rule can cost", async () => {
    const inner: CelSchema = {
      ...list(text),
      "x-kubernetes-validations": [{ rule: "self.all(s, s == 'string constant')" }],
    };
    const found = problems(spec([], { x: list(inner) }));
    expect(found[0]).toContain("estimated rule cost exceeds budget by factor of more than 100x");
    expect(problems(spec([], { x: list({ ...inner, maxItems: 10 }, 10) }))).toEqual([]);
  });

  test("no rule looks back where items cannot be told apart", async () => {
    const item: CelSchema = {
      type: "object",
      properties: { v: integer },
      "x-kubernetes-validations": [{ rule: "self.v >= oldSelf.v" }],
    };
    expect(problems(spec([], { l: list(item, 5) }))[0]).toContain(
      "oldSelf cannot be used on the uncorrelatable portion of the schema within " +
        "schema.properties[spec].properties[l].items",
    );
    const optional = { rule: "self.v > 0", optionalOldSelf: true };
    expect(problems(spec([optional], { v: integer }))[0]).toContain(
      "may not be set if oldSelf is not used in rule",
    );
  });
});
