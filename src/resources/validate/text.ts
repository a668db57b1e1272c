/**
 * Rules of names, labels and other short texts in the words of Kubernetes (apimachinery
 * util/validation). Each returns what is wrong with a value, without its path.
 */

const LABEL_MAX = 63;
const SUBDOMAIN_MAX = 253;
const PORT_NAME_MAX = 15;

const LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`;
const LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?";
const QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

const UNDERSCORE_LABEL = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
const UNDERSCORE_SUBDOMAIN = `${UNDERSCORE_LABEL}(\\.${UNDERSCORE_LABEL})*`;

const LABEL_REGEXP = new RegExp(`^${LABEL}$`);
const SUBDOMAIN_REGEXP = new RegExp(`^${SUBDOMAIN}$`);
const UNDERSCORE_REGEXP = new RegExp(`^${UNDERSCORE_SUBDOMAIN}$`);
const LABEL_1035_REGEXP = new RegExp(`^${LABEL_1035}$`);
const QUALIFIED_REGEXP = new RegExp(`^${QUALIFIED}$`);
const WILDCARD_REGEXP = new RegExp(`^\\*\\.${SUBDOMAIN}$`);

const EDGES = "and must start and end with an alphanumeric character";

export const tooManyCharacters = (max: number): string => `must be no more than ${max} characters`;

/** What a text must match, with examples and the expression itself. */
export function mustMatch(rule: string, expression: string, ...examples: string[]): string {
  const such = examples.map((example) => `'${example}', `).join(" or ");
  return such === ""
    ? `${rule} (regex used for validation is '${expression}')`
    : `${rule} (e.g. ${such}regex used for validation is '${expression}')`;
}

export function subdomainErrors(value: string): string[] {
  const errors = value.length > SUBDOMAIN_MAX ? [tooManyCharacters(SUBDOMAIN_MAX)] : [];
  if (SUBDOMAIN_REGEXP.test(value)) return errors;
  const rule =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or " +
    `'.', ${EDGES}`;
  return [...errors, mustMatch(rule, SUBDOMAIN, "example.com")];
}

/** Search domains of DNS may have underscores (KEP-4427). */
export function underscoreSubdomainErrors(value: string): string[] {
  const errors = value.length > SUBDOMAIN_MAX ? [tooManyCharacters(SUBDOMAIN_MAX)] : [];
  if (UNDERSCORE_REGEXP.test(value)) return errors;
  const rule =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', " +
    `'-' or '.', ${EDGES}`;
  return [...errors, mustMatch(rule, UNDERSCORE_SUBDOMAIN, "example.com")];
}

export function labelErrors(value: string): string[] {
  const errors = value.length > LABEL_MAX ? [tooManyCharacters(LABEL_MAX)] : [];
  if (LABEL_REGEXP.test(value)) return errors;
  if (SUBDOMAIN_REGEXP.test(value)) return [...errors, "must not contain dots"];
  const rule =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', " +
    `${EDGES}`;
  return [...errors, mustMatch(rule, LABEL, "my-name", "123-abc")];
}

export function label1035Errors(value: string): string[] {
  const errors = value.length > LABEL_MAX ? [tooManyCharacters(LABEL_MAX)] : [];
  if (LABEL_1035_REGEXP.test(value)) return errors;
  const rule =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with " +
    "an alphabetic character, and end with an alphanumeric character";
  return [...errors, mustMatch(rule, LABEL_1035, "my-name", "abc-123")];
}

/** `*.example.com`. */
export function wildcardErrors(value: string): string[] {
  const errors = value.length > SUBDOMAIN_MAX ? [tooManyCharacters(SUBDOMAIN_MAX)] : [];
  if (WILDCARD_REGEXP.test(value)) return errors;
  const rule =
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, " +
    "which must consist of lower case alphanumeric characters, '-' or '.' and end with an " +
    "alphanumeric character";
  return [...errors, mustMatch(rule, `\\*\\.${SUBDOMAIN}`, "*.example.com")];
}

const QUALIFIED_RULE = `must consist of alphanumeric characters, '-', '_' or '.', ${EDGES}`;
const QUALIFIED_ERROR = mustMatch(QUALIFIED_RULE, QUALIFIED, "MyName", "my.name", "123-abc");

/** `name` or `prefix.example.com/name`: keys of labels and annotations, finalizers, resources. */
export function qualifiedNameErrors(value: string): string[] {
  // Without a prefix there is one rule, which nearly all of them keep.
  if (value.length <= LABEL_MAX && QUALIFIED_REGEXP.test(value)) return [];
  const parts = value.split("/");
  if (parts.length > 2) {
    const more = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
    return [`a qualified name ${QUALIFIED_ERROR} ${more}`];
  }
  const name = parts[parts.length - 1] ?? "";
  const prefix = parts.length === 2 ? parts[0] : undefined;
  const errors: string[] = [];
  if (prefix === "") errors.push("prefix part must be non-empty");
  else if (prefix !== undefined) {
    errors.push(...subdomainErrors(prefix).map((error) => `prefix part ${error}`));
  }
  if (name === "") errors.push("name part must be non-empty");
  else if (name.length > LABEL_MAX) errors.push(`name part ${tooManyCharacters(LABEL_MAX)}`);
  if (!QUALIFIED_REGEXP.test(name)) errors.push(`name part ${QUALIFIED_ERROR}`);
  return errors;
}

export function labelValueErrors(value: string): string[] {
  const errors = value.length > LABEL_MAX ? [tooManyCharacters(LABEL_MAX)] : [];
  if (value === "" || QUALIFIED_REGEXP.test(value)) return errors;
  const rule =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or " +
    `'.', ${EDGES}`;
  return [...errors, mustMatch(rule, `(${QUALIFIED})?`, "MyValue", "my_value", "12345")];
}

/** Names of ports (RFC 6335, lower case only). */
export function portNameErrors(value: string): string[] {
  const errors: string[] = [];
  if (value.length > PORT_NAME_MAX) errors.push(tooManyCharacters(PORT_NAME_MAX));
  if (!/^[-a-z0-9]+$/.test(value)) {
    errors.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  }
  if (!/[a-z]/.test(value)) errors.push("must contain at least one letter (a-z)");
  if (value.includes("--")) errors.push("must not contain consecutive hyphens");
  if (/^-|-$/.test(value)) errors.push("must not begin or end with a hyphen");
  return errors;
}

/** Whatever fits between two slashes of a path. */
export function pathErrors(value: string): string[] {
  if (value === "." || value === "..") return [`may not be '${value}'`];
  return ["/", "%"]
    .filter((each) => value.includes(each))
    .map((each) => `may not contain '${each}'`);
}

/** What fits before a `=`: printable ASCII. */
export function envNameErrors(value: string): string[] {
  if (value === "") return ["environment variable name must be non-empty"];
  if (/^[ -<>-~]*$/.test(value)) return [];
  return [
    "a valid environment variable name must consist only of printable ASCII characters other " +
      "than '='",
  ];
}

/** Keys of ConfigMaps and Secrets, which become file names. */
export function configKeyErrors(value: string): string[] {
  const errors = value.length > SUBDOMAIN_MAX ? [tooManyCharacters(SUBDOMAIN_MAX)] : [];
  if (!/^[-._a-zA-Z0-9]+$/.test(value)) {
    const rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
    errors.push(mustMatch(rule, "[-._a-zA-Z0-9]+", "key.name", "KEY_NAME", "key-name"));
  }
  if (value === "." || value === "..") errors.push(`must not be '${value}'`);
  else if (value.startsWith("..")) errors.push("must not start with '..'");
  return errors;
}

export const headerNameErrors = (value: string): string[] =>
  /^[-A-Za-z0-9]+$/.test(value)
    ? []
    : [
        mustMatch(
          "a valid HTTP header must consist of alphanumeric characters or '-'",
          "[-A-Za-z0-9]+",
          "X-Header-Name",
        ),
      ];
