/** The forms of `-o`: yaml, json, name, jsonpath, custom-columns. Tables are made by the server. */
import { readFileSync } from "node:fs";
import { Document, visit } from "yaml";
import { messageOf, OperatorError, UsageError } from "#base/errors.ts";
import { evaluatePath, jsonPath, valueText } from "#cli/jsonpath/evaluate.ts";
import { parsePath } from "#cli/jsonpath/parse.ts";
import { columns } from "#cli/table.ts";
import type { ApiObject } from "#resources/meta.ts";
import { sortedKeys } from "#resources/sorted.ts";

export type Printer = (object: ApiObject) => string;

const FORMS =
  "custom-columns,custom-columns-file,json,jsonpath,jsonpath-as-json,jsonpath-file,name,wide,yaml";

/**
 * Texts that some reader of YAML takes for a truth value, a number, a time or nothing (YAML 1.1).
 */
const AMBIGUOUS = [
  /^(|~|null|y|yes|n|no|true|false|on|off|<<|=)$/i,
  /^[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-f_]+|\.inf|\.nan)$/i,
  /^[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)(e[-+]?[0-9]+)?$/i,
  /^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$/,
  /^\d{4}-\d\d?-\d\d?([Tt ].*)?$/,
];

/** As kubectl writes it: keys sorted, lists at the column of their key, ambiguous texts quoted. */
export function yamlText(value: unknown): string {
  const document = new Document(sortedKeys(value), { aliasDuplicateObjects: false });
  visit(document, {
    Scalar(_key, node) {
      // JSON writes negative zero as 0, YAML would not.
      if (node.value === 0) node.value = 0;
      if (typeof node.value !== "string") return;
      if (AMBIGUOUS.some((form) => form.test(String(node.value)))) node.type = "QUOTE_DOUBLE";
    },
  });
  return document.toString({
    indentSeq: false,
    lineWidth: 0,
    singleQuote: true,
    blockQuote: "literal",
  });
}

/** Go escapes what could end a script in a page of HTML. */
export function escapedJson(text: string): string {
  const escapes: Record<string, string> = { "<": "\\u003c", ">": "\\u003e", "&": "\\u0026" };
  return text.replace(/[<>&]/g, (char) => escapes[char] ?? char);
}

export const jsonText = (value: unknown): string =>
  `${escapedJson(JSON.stringify(sortedKeys(value), null, 4))}\n`;

function readTemplate(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new OperatorError(`error reading --template ${path}, ${messageOf(cause)}`, { cause });
  }
}

const itemsOf = (object: ApiObject): ApiObject[] =>
  "items" in object && Array.isArray(object.items) ? object.items : [object];

function customColumns(spec: string): Printer {
  const parts = spec.split(",").map((part) => {
    const colon = part.indexOf(":");
    if (colon <= 0) {
      throw new UsageError(
        `unexpected custom-columns spec: ${part}, expected <header>:<json-path-expr>`,
      );
    }
    return { header: part.slice(0, colon), steps: parsePath(part.slice(colon + 1)) };
  });
  return (object) => {
    const rows = itemsOf(object).map((item) =>
      parts.map(({ steps }) => {
        const found = evaluatePath(steps, [item], item);
        return found.length === 0 ? "<none>" : found.map(valueText).join(",");
      }),
    );
    return columns([parts.map(({ header }) => header), ...rows]);
  };
}

function asJson(template: string): Printer {
  const steps = parsePath(template);
  return (object) => jsonText(evaluatePath(steps, [object], object));
}

/** `deployment.apps/web`; the type as `typeName` says it. */
export const nameText = (type: string, object: ApiObject): string =>
  `${type}/${object.metadata?.name ?? ""}\n`;

/** The printer of a form that shows whole objects. @throws UsageError for a form that is none. */
export function printerFor(form: string): Printer {
  const equals = form.indexOf("=");
  const name = equals < 0 ? form : form.slice(0, equals);
  const value = equals < 0 ? "" : form.slice(equals + 1);
  switch (name) {
    case "yaml":
      return yamlText;
    case "json":
      return jsonText;
    case "jsonpath":
      if (value === "") throw new UsageError("template format specified but no template given");
      return jsonPath(value);
    case "jsonpath-file":
      return jsonPath(readTemplate(value));
    case "jsonpath-as-json":
      return asJson(value);
    case "custom-columns":
      if (value === "") {
        throw new UsageError("custom-columns format specified but no custom columns given");
      }
      return customColumns(value);
    case "custom-columns-file": {
      const [headers = "", paths = ""] = readTemplate(value).trim().split("\n");
      const fields = paths.trim().split(/\s+/);
      const spec = headers.trim().split(/\s+/);
      return customColumns(spec.map((header, at) => `${header}:${fields[at] ?? ""}`).join(","));
    }
    default:
      throw new UsageError(
        `unable to match a printer suitable for the output format "${form}", ` +
          `allowed formats are: ${FORMS}`,
      );
  }
}
