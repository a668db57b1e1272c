/** Names of devices' pools, attributes and capacities (resource validation). */
import { type Cause, invalid, required, tooLong } from "#resources/field.ts";
import { byRule } from "#resources/validate/basic.ts";
import { checkDriverName } from "#resources/validate/source.ts";
import { mustMatch, subdomainErrors } from "#resources/validate/text.ts";

const ID_BYTES_MAX = 32;
const POOL_BYTES_MAX = 253;
const IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*";
const IDENTIFIER_ERROR = mustMatch(
  "a valid C identifier must start with alphabetic character or '_', followed by a string of " +
    "alphanumeric characters or '_'",
  IDENTIFIER,
  "my_name",
  "MY_NAME",
  "MyName",
);
const IDENTIFIER_REGEXP = new RegExp(`^${IDENTIFIER}$`);

function identifierCauses(id: string, path: string): Cause[] {
  const causes = id.length > ID_BYTES_MAX ? [tooLong(path, ID_BYTES_MAX)] : [];
  return IDENTIFIER_REGEXP.test(id) ? causes : [...causes, invalid(path, id, IDENTIFIER_ERROR)];
}

/** `name` or `driver.example.com/name`. */
export function checkAttributeName(name: string, path: string): Cause[] {
  if (name === "") return [required(path, "name required")];
  const [first = "", second, ...more] = name.split("/");
  if (more.length > 0) return [];
  if (second === undefined) return identifierCauses(first, path);
  return [
    ...(first === ""
      ? [required(path, "the domain must not be empty")]
      : checkDriverName(first, path)),
    ...(second === ""
      ? [required(path, "the name must not be empty")]
      : identifierCauses(second, path)),
  ];
}

export function checkFullyQualified(name: string, path: string): Cause[] {
  const causes = checkAttributeName(name, path);
  if (name === "" || name.includes("/")) return causes;
  return [...causes, invalid(path, name, "must include a domain")];
}

/** Subdomains between slashes. */
export function checkPoolName(name: string | undefined, path: string): Cause[] {
  if (!name) return [required(path)];
  const causes = name.length > POOL_BYTES_MAX ? [tooLong(path, POOL_BYTES_MAX)] : [];
  return [...causes, ...name.split("/").flatMap((part) => byRule(subdomainErrors, part, path))];
}
