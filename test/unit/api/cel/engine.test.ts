import { describe, expect, test } from "bun:test";
import { compileCel, type Outcome } from "#api/cel/compile.ts";
import type { Variables } from "#api/cel/engine/frame.ts";
import { CompileError } from "#api/cel/engine/problems.ts";
import { dyn, type Type } from "#api/cel/engine/types.ts";
import { fromJson } from "#api/cel/engine/values.ts";
import { show } from "#api/cel/functions/formatting.ts";
import { limits } from "#base/limits.ts";

const data = {
  list: [{ b: 1 }, { b: 2 }],
  text: "hello",
  five: 5,
  half: 1.5,
  map: { x: 1, "y-z": 2 },
  yes: true,
  nothing: null,
  names: ["web-1", "web-2"],
};

const variables = new Map<string, Type>([["self", dyn]]);
const value = fromJson(data);

const free = { work: () => {}, resume: () => 0, pause: () => {} };
const shown = ({ value: given, error }: Outcome): string =>
  error === undefined ? show(given, free) : `!${error.message}`;

const self: Variables = (name) => (name === "self" ? value : undefined);

/**
 * What an expression gives, as text; with `!` before an error. The same comes out, for the same
 * cost, where it gives way after every step.
 */
function run(source: string): string {
  const program = compileCel(source, variables);
  const outcome = program.run(self);
  const inTurns = program.run(self, { stepsPerTurn: 1 });
  expect([shown(inTurns), inTurns.cost]).toEqual([shown(outcome), outcome.cost]);
  return shown(outcome);
}

function problem(source: string): string {
  try {
    compileCel(source, variables);
  } catch (error) {
    if (error instanceof CompileError) return error.message;
    throw error;
  }
  return "";
}

type Case = readonly [string, string];

const cases = (rows: readonly Case[]): void => {
  test.each(rows.map((row) => [...row]))("%s is %s", (source, wanted) => {
    expect(run(source ?? "")).toBe(wanted ?? "");
  });
};

describe("values and operators", () => {
  cases([
    ["1 + 2 * 3 - 4 / 2 % 3", "5"],
    ["-9223372036854775808", "-9223372036854775808"],
    ["9223372036854775807 + 1", "!integer overflow"],
    ["1 / 0", "!division by zero"],
    ["1 % 0", "!modulus by zero"],
    ["0x1F + 1", "32"],
    ["1u + 2u == 3u", "true"],
    ["0u - 1u", "!unsigned integer overflow"],
    ["1 < 1.5 && 2u > 1", "true"],
    ["dyn(1) == 1.0 && dyn(1u) == 1", "true"],
    ["'a' + \"b\" + r'\\n' + '''c'''", "ab\\nc"],
    ["'\\u00e9\\x41\\101\\n'.size()", "4"],
    ["b'\\xff' + b'a'  == b'\\xffa'", "true"],
    ["[1, 2] + [3] == [1, 2, 3]", "true"],
    ["{'a': [1], 'b': [2]}['b'][0]", "2"],
    ["{1: 'a'}[1]", "a"],
    ["{'a': 1, 'a': 2}", "!Failed with repeated key"],
    ["{'constructor': 1}.constructor", "1"],
    ["self.five > 3 ? 'big' : 'small'", "big"],
    ["!self.yes || self.half == 1.5", "true"],
    ["2 in [1, 2] && 'x' in self.map && !('q' in self.map)", "true"],
    ["self.list == [{'b': 1}, {'b': 2}]", "true"],
    ["self.nothing == null", "true"],
    ["self.list[2]", "!index out of bounds: 2"],
    ["self.zip", "!no such key: zip"],
    ["self.five > 'a'", "!no such overload"],
    ["// a comment\n1", "1"],
  ]);
});

describe("errors that do not count", () => {
  cases([
    ["self.zip == 1 || true", "true"],
    ["true || self.zip == 1", "true"],
    ["false && self.zip == 1", "false"],
    ["self.zip == 1 && false", "false"],
    ["self.zip == 1 || false", "!no such key: zip"],
    ["[1, 2, 0].exists(x, 4 / x == 2)", "true"],
    ["[0, 1].all(x, 4 / x == 2)", "false"],
    ["[0].all(x, 4 / x == 2)", "!division by zero"],
  ]);
});

describe("macros", () => {
  cases([
    ["has(self.list[0].b) && !has(self.list[0].c) && has(self.map.x)", "true"],
    ["has(self.zip.zap)", "!no such key: zip"],
    ["self.list.all(x, x.b > 0)", "true"],
    ["self.map.exists(k, self.map[k] == 2)", "true"],
    ["[1, 2, 2].exists_one(x, x == 2)", "false"],
    ["self.list.filter(x, x.b > 1)[0].b", "2"],
    ["self.list.map(x, x.b * 10)", "[10, 20]"],
    ["self.list.map(x, x.b > 1, x.b)", "[2]"],
    ["['a', 'b'].all(i, v, i < 2 && v != '')", "true"],
    ["{'a': 1}.exists(k, v, k == 'a' && v == 1)", "true"],
    ["[4, 5].transformList(i, v, i == 1, v)", "[5]"],
    ["['a'].transformMap(i, v, v + 'x')", "{0: ax}"],
    ["['a', 'b'].transformMapEntry(i, v, {v: i})", "{a: 0, b: 1}"],
    ["cel.bind(x, self.five * 2, x + x)", "20"],
    ["[1, 2].map(x, [3, 4].map(y, x * y))", "[[3, 4], [6, 8]]"],
    ["[3, 1, 2].sortBy(x, -x)", "[3, 2, 1]"],
  ]);
});

describe("optional values", () => {
  cases([
    ["self.?zip.orValue(3)", "3"],
    ["self.?map.?x.orValue(3)", "1"],
    ["self.list[?5].hasValue()", "false"],
    ["self.list[?0].optMap(x, x.b + 1).orValue(0)", "2"],
    ["optional.of(1).optFlatMap(x, optional.none()).hasValue()", "false"],
    ["optional.none().or(optional.of(2)).value()", "2"],
    ["optional.none().value()", "!optional.none() dereference"],
    ["{?'a': self.?five, ?'b': self.?zip}", "{a: 5}"],
    ["[?self.?five, ?self.?zip]", "[5]"],
    ["optional.ofNonZeroValue('').hasValue()", "false"],
  ]);
});

describe("functions on text", () => {
  cases([
    ["'😀x'.indexOf('x') == 1 && '😀x'.size() == 2 && '😀x'.charAt(1) == 'x'", "true"],
    ["'hello'.substring(1, 3) + 'hello'.substring(4)", "elo"],
    ["'hello'.substring(9)", "!index out of range: 9"],
    ["'a-b-c'.split('-', 2)", "[a, b-c]"],
    ["'a.b'.replace('.', '_') + 'aaa'.replace('a', 'b', 2)", "a_bbba"],
    ["['a', 'b'].join('-')", "a-b"],
    ["'Straße'.upperAscii() + 'ABC'.lowerAscii()", "STRAßEabc"],
    ["' x '.trim() + 'abc'.reverse()", "xcba"],
    ["'%s is %d, %.2f %x %s'.format(['a', 3, 1.5, 255, [1, 2]])", "a is 3, 1.50 ff [1, 2]"],
    ["'%q'.format([1])", '!unrecognized formatting clause "q"'],
    ["strings.quote('a\"b')", '"a\\"b"'],
    ["'hello'.matches('^h.*o$')", "true"],
    ["'abc 123 45'.findAll('[0-9]+')", "[123, 45]"],
    ["'abc 123'.find('[0-9]+') + 'x'.find('[0-9]')", "123"],
    ["string(1.5) + string(1) + string(true) + string(duration('90s'))", "1.51true90s"],
    ["int('42') + int(3.9) + int(4u)", "49"],
    ["int('x')", '!strconv.ParseInt: parsing "x": invalid syntax'],
    ["double('1.5') + double(1)", "2.5"],
    ["bytes('é').size()", "2"],
    ["type(1) == int && type([]) == list && type(type(1)) == type", "true"],
  ]);
});

describe("functions on lists", () => {
  cases([
    ["self.list.map(x, x.b).sum()", "3"],
    ["[1.5, 2.5].sum()", "4"],
    ["[duration('1m'), duration('1s')].sum()", "61s"],
    ["[3, 1, 2].max() + [3, 1, 2].min()", "4"],
    ["dyn([]).min()", "!min called on empty list"],
    ["[1, 2, 2].isSorted() && !['b', 'a'].isSorted()", "true"],
    ["[1, 2, 1].indexOf(1) + [1, 2, 1].lastIndexOf(1) + [1].indexOf(9)", "1"],
    ["[1, 2, 1].distinct()", "[1, 2]"],
    ["[[1], [2, 3]].flatten()", "[1, 2, 3]"],
    ["[1, 2, 3].slice(1, 3).reverse()", "[3, 2]"],
    ["sets.contains([1, 2], [2]) && sets.intersects([1], [1, 9])", "true"],
    ["sets.equivalent([1, 2], [2, 1, 1])", "true"],
  ]);
});

describe("Kubernetes' own types", () => {
  cases([
    ["quantity('1Gi').isGreaterThan(quantity('1G'))", "true"],
    ["quantity('50k').add(20).sub(quantity('100k')).sub(-50000) == quantity('20')", "true"],
    ["quantity('1.5').isInteger()", "false"],
    ["isQuantity('200K')", "false"],
    ["ip('::1').isLoopback() && ip('10.0.0.1').family() == 4", "true"],
    ["isIP('::ffff:1.2.3.4')", "false"],
    ["ip.isCanonical('2001:DB8::1')", "false"],
    ["cidr('10.0.0.0/8').containsIP('10.1.2.3')", "true"],
    ["cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')", "true"],
    ["string(cidr('10.1.2.3/8').masked())", "10.0.0.0/8"],
    ["cidr('10.0.0.0/8').prefixLength()", "8"],
    ["url('https://[::1]:80/p q?a=1&a=2').getHostname()", "::1"],
    ["url('https://a.b:80/p?a=1&a=2').getQuery()['a']", "[1, 2]"],
    ["isURL('../x') || isURL('')", "false"],
    ["format.dns1123Label().validate('A b').hasValue()", "true"],
    ["format.named('uuid').hasValue() && !format.named('x').hasValue()", "true"],
    ["semver('1.2.3').isLessThan(semver('1.3.0-alpha'))", "true"],
    ["semver('v01.2', true).minor()", "2"],
    ["isSemver('1.2')", "false"],
  ]);
});

describe("times", () => {
  cases([
    ["duration('1h30m') > duration('89m')", "true"],
    ["duration('1.5s').getMilliseconds()", "500"],
    ["timestamp('2020-01-01T00:00:00Z') + duration('24h')", "2020-01-02T00:00:00Z"],
    ["timestamp('2020-03-01T12:30:00Z').getDayOfYear()", "60"],
    ["timestamp('2020-01-01T00:00:00Z').getHours('+02:30')", "2"],
    ["timestamp('2020-07-01T00:00:00Z').getHours('Europe/Berlin')", "2"],
    ["timestamp('2020-01-01T00:00:00.5+01:00')", "2019-12-31T23:00:00.5Z"],
    ["type(timestamp('2020-01-01T00:00:00Z')) == google.protobuf.Timestamp", "true"],
    ["timestamp(dyn('2020-02-30T00:00:00Z')) == timestamp(0) || true", "true"],
  ]);
});

describe("problems", () => {
  test.each([
    ["self = 42", "ERROR: <input>:1:6: Syntax error: token recognition error at: '='"],
    ["self.x +", "ERROR: <input>:1:9: Syntax error"],
    ["foo(1)", "ERROR: <input>:1:4: undeclared reference to 'foo' (in container '')"],
    ["other.x", "ERROR: <input>:1:1: undeclared reference to 'other' (in container '')"],
    ["1 > 'a'", "found no matching overload for '_>_' applied to '(int, string)'"],
    ["'a' + 1", "found no matching overload for '_+_' applied to '(string, int)'"],
    ["'a'.startsWith(1)", "'startsWith' applied to 'string.(int)'"],
    ["[1, 'a']", "expected type 'int' but found 'string'"],
    ["1.all(x, x)", "expression of type 'int' cannot be range of a comprehension"],
    ["has(self)", "invalid argument to has() macro"],
    ["self.all(1, true)", "argument must be a simple name"],
    ["'a'.matches('(?=b)')", "invalid matches argument"],
    ["duration('x')", "invalid duration argument"],
    ["for", "reserved identifier: for"],
    ["'abc", "token recognition error"],
    ["1 == 1.0", "'_==_' applied to '(int, double)'"],
  ])("%s", (source, message) => {
    expect(problem(source)).toContain(message);
  });

  test("show the line and the place", () => {
    expect(problem("true &&\n  1 > 'a'")).toBe(
      "ERROR: <input>:2:5: found no matching overload for '_>_' applied to '(int, string)'\n" +
        " |   1 > 'a'\n | ....^",
    );
  });

  test("nesting and length have bounds", () => {
    expect(problem(`${"(".repeat(5_000)}1${")".repeat(5_000)}`)).toContain("recursion limit");
    expect(problem("1".repeat(200_000))).toContain("exceeds limit");
    expect(problem(`1${" + 1".repeat(5_000)}`)).toContain("too many operators");
  });
});

describe("bounds", () => {
  const many = fromJson({
    list: Array.from({ length: 2_000 }, (_, i) => i),
    text: "a".repeat(50),
    part: Array.from({ length: 400 }, (_, i) => i),
    deep: Array.from({ length: 200 }, (_, i) => [i, [i]]),
  });
  const huge = fromJson({
    list: Array.from({ length: 2_000 }, (_, i) => i),
    long: "a".repeat(1_000_000),
    wide: Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`k${i}`, i])),
  });
  const outcome = (source: string) =>
    compileCel(source, variables).run((name) => (name === "self" ? many : undefined));

  test("an expression ends when it costs too much", () => {
    const { error } = outcome("self.list.all(x, self.list.all(y, x + y >= 0))");
    expect(error?.message).toBe("operation cancelled: actual cost limit exceeded");
  });

  test("nothing in an expression swallows that", () => {
    const { error } = outcome("self.list.all(x, self.list.all(y, x + y >= 0)) || true");
    expect(error?.name).toBe("CostError");
  });

  test.each([
    ["self.list.all(x, self.wide.size() == 1000 && self.long < 'b')", ""],
    ["self.list.all(x, self.long.size() > 0)", "CostError"],
    ["self.list.all(x, self.long.charAt(9) == 'a')", "CostError"],
    ["self.list.all(x, '%s'.format([self.list]) != '')", "CostError"],
    ["self.list.all(x, [self.list].flatten() != [])", "CostError"],
  ])("what costs little but takes long has bounds, too: %s", (source, wanted) => {
    const program = compileCel(source, variables);
    const { error } = program.run((name) => (name === "self" ? huge : null), { stepsMax: 100_000 });
    expect(error?.name ?? "").toBe(wanted);
  });

  test.each([
    "self.list.all(x, self.list.all(y, x + y >= 0) || x > 5)",
    "self.list.map(x, x + 1).filter(x, x % 2 == 0).size() == 1000 && self.list.exists_one(x, x == 7)",
    "self.list.map(x, self.list.map(y, y * x).sum()).size() > 0",
    "self.list.sortBy(x, -x)[0] + self.list.sortBy(x, x)[0] == 1999",
    "self.list.transformMap(i, x, self.text + string(x)).all(k, v, v.startsWith('aaa'))",
    "self.list.filter(x, self.list.exists(y, x < y && y == 3)).size() == 3",
    "sets.contains(self.part, self.part) && sets.equivalent(self.part, self.part)",
    "sets.intersects(self.part, self.deep) || self.part.all(x, x in self.part) || 7 in self.deep",
  ])("one that takes long is worked out in many turns: %s", (source) => {
    const program = compileCel(source, variables);
    const evaluation = program.start((name) => (name === "self" ? many : null));
    const atOnce = program.run((name) => (name === "self" ? many : null), {
      stepsPerTurn: Number.POSITIVE_INFINITY,
    });
    let turns = 1;
    let outcome = evaluation.next();
    while (outcome === undefined) {
      turns += 1;
      outcome = evaluation.next();
    }
    expect([shown(outcome), outcome.cost]).toEqual([shown(atOnce), atOnce.cost]);
    const least = Math.floor(outcome.cost / (2 * limits.celStepsPerTurn));
    expect(turns).toBeGreaterThan(Math.min(least, 9));
  });

  test("one call that takes long is worked out in as many turns as it needs, and no more", () => {
    const large = Array.from({ length: 700 }, (_, i) => [i, [i, [i, [i]]]]);
    const given = fromJson({ large });
    const evaluation = compileCel("sets.contains(self.large, self.large)", variables).start(
      (name) => (name === "self" ? given : null),
    );
    let turns = 1;
    let outcome = evaluation.next();
    for (; outcome === undefined; turns++) outcome = evaluation.next();
    expect(outcome.value).toBe(true);
    expect(turns).toBeGreaterThan(5);
    expect(turns).toBeLessThan(50);
  });

  test("a pattern takes linear time", () => {
    const before = performance.now();
    expect(outcome("(self.text + '!').matches('^(a+)+$')").value).toBe(false);
    expect(performance.now() - before).toBeLessThan(5_000);
  });

  test("texts that double are stopped", () => {
    const bindings = Array.from({ length: 60 }, (_, i) => i).reduceRight(
      (body, i) => `cel.bind(t${i + 1}, t${i} + t${i}, ${body})`,
      "true || size(t60) > 0",
    );
    // Bindings that nobody reads would be free upstream; here they are made, within the bound.
    expect(outcome(`cel.bind(t0, self.text, ${bindings})`).error?.name).toBe("CostError");
  });

  test("comparing what is deep counts", () => {
    const { error } = outcome("self.list.all(x, self.list.map(y, self.list) != [self.list])");
    expect(error?.name).toBe("CostError");
  });
});
