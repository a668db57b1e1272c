/**
 * Named formats of text.
 * https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-format-library
 */
import {
  fn,
  LETTER_COST,
  method,
  type Overload,
  PATTERN_LETTER_COST,
  times,
} from "#api/cel/engine/overload.ts";
import { CelError } from "#api/cel/engine/problems.ts";
import { listOf, opaque, optionalOf, string } from "#api/cel/engine/types.ts";
import { Extension, List, Optional, type Value } from "#api/cel/engine/values.ts";
import { instance, text } from "#api/cel/functions/arguments.ts";
import { parseTime } from "#api/cel/functions/clockwords.ts";
import { parseUrl } from "#api/cel/functions/urls.ts";
import { messageOf } from "#base/errors.ts";
import {
  label1035Errors,
  labelErrors,
  labelValueErrors,
  qualifiedNameErrors,
  subdomainErrors,
} from "#resources/validate/text.ts";

export const formatType = opaque("kubernetes.NamedFormat");

type Check = (value: string) => string[];

/** The letters of the pattern that upstream's cost reckons with. */
interface Rule {
  readonly check: Check;
  readonly patternLetters: number;
}

/** A prefix may end with a dash: something follows. */
const asPrefix =
  (check: Check): Check =>
  (value) =>
    check(value.endsWith("-") ? `${value.slice(0, -1)}a` : value);

const matching =
  (pattern: RegExp, message: string): Check =>
  (value) =>
    pattern.test(value) ? [] : [message];

const throwing =
  (parse: (value: string) => unknown, message?: string): Check =>
  (value) => {
    try {
      parse(value);
      return [];
    } catch (error) {
      return [message ?? messageOf(error)];
    }
  };

const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const rule = (check: Check, patternLetters: number): Rule => ({ check, patternLetters });

const RULES: Readonly<Record<string, Rule>> = {
  dns1123Label: rule(labelErrors, 30),
  dns1123Subdomain: rule(subdomainErrors, 60),
  dns1035Label: rule(label1035Errors, 30),
  qualifiedName: rule(qualifiedNameErrors, 60),
  dns1123LabelPrefix: rule(asPrefix(labelErrors), 30),
  dns1123SubdomainPrefix: rule(asPrefix(subdomainErrors), 60),
  dns1035LabelPrefix: rule(asPrefix(label1035Errors), 30),
  labelValue: rule(labelValueErrors, 40),
  uri: rule(throwing(parseUrl), 1103),
  uuid: rule(matching(UUID, "does not match the UUID format"), 80),
  byte: rule(matching(BASE64, "invalid base64"), 84),
  date: rule(
    throwing((value) => parseTime(`${value}T00:00:00Z`), "invalid date"),
    100,
  ),
  datetime: rule(throwing(parseTime, "invalid datetime"), 100),
};

class Format extends Extension {
  readonly type = formatType;
  readonly name: string;
  readonly rule: Rule;

  constructor(name: string, given: Rule) {
    super();
    this.name = name;
    this.rule = given;
  }

  equals(other: Extension): boolean {
    return other instanceof Format && other.name === this.name;
  }
}

const known = new Map(Object.entries(RULES).map(([name, each]) => [name, new Format(name, each)]));

const PATTERN_LETTERS_MAX = 128;

function validate(format: Value | undefined, value: string): Optional {
  const errors = instance(format, Format).rule.check(value);
  return errors.length === 0 ? Optional.none : new Optional(new List(errors));
}

function named(name: string): Format {
  const format = known.get(name);
  if (format === undefined) throw new CelError(`no such format: ${name}`);
  return format;
}

export const formats: readonly Overload[] = [
  ...[...known.keys()].map((name) => fn(`format.${name}`, [], formatType, () => named(name))),
  fn("format.named", [string], optionalOf(formatType), ([a]) => {
    const format = known.get(text(a));
    return format === undefined ? Optional.none : new Optional(format);
  }),
  method(
    "validate",
    [formatType, string],
    optionalOf(listOf(string)),
    ([a, b]) => validate(a, text(b)),
    {
      cost: ([, size = 0], args) => {
        const [format] = args ?? [];
        const letters = format instanceof Format ? format.rule.patternLetters : PATTERN_LETTERS_MAX;
        const walk = Math.ceil(times(size + 1, LETTER_COST));
        return times(walk, Math.ceil(letters * PATTERN_LETTER_COST));
      },
    },
  ),
];
