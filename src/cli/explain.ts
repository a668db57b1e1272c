/** The words of `explain`, from a server's OpenAPI v3 document. Pure. */
import { OperatorError } from "#base/errors.ts";

/** A node of an OpenAPI v3 document, as far as it is shown. */
export interface OpenApiNode {
  $ref?: string;
  allOf?: OpenApiNode[];
  type?: string;
  format?: string;
  description?: string;
  properties?: Record<string, OpenApiNode>;
  items?: OpenApiNode;
  additionalProperties?: OpenApiNode | boolean;
  required?: string[];
  enum?: unknown[];
  "x-kubernetes-int-or-string"?: boolean;
  "x-kubernetes-group-version-kind"?: Array<{ group: string; version: string; kind: string }>;
}

export type Definitions = Readonly<Record<string, OpenApiNode>>;

/** Levels of `--recursive`; a schema may contain itself. */
const DEPTH_MAX = 15;

const refOf = (node: OpenApiNode): string | undefined =>
  node.$ref ?? node.allOf?.map(({ $ref }) => $ref).find((each) => each !== undefined);

const nameOf = (ref: string): string => ref.slice(ref.lastIndexOf("/") + 1);

function resolved(node: OpenApiNode, all: Definitions): OpenApiNode {
  const ref = refOf(node);
  return ref === undefined ? node : { ...all[nameOf(ref)], ...(node.description && node) };
}

/** What the fields of a node are: its own, or those of its items or values. */
function inner(node: OpenApiNode, all: Definitions): OpenApiNode {
  const whole = resolved(node, all);
  if (whole.items !== undefined) return inner(whole.items, all);
  const { additionalProperties } = whole;
  if (typeof additionalProperties === "object") return inner(additionalProperties, all);
  return whole;
}

function typeText(node: OpenApiNode, all: Definitions): string {
  const ref = refOf(node);
  const whole = resolved(node, all);
  if (whole.items !== undefined) return `[]${typeText(whole.items, all)}`;
  if (typeof whole.additionalProperties === "object") {
    return `map[string]${typeText(whole.additionalProperties, all)}`;
  }
  if (ref !== undefined && whole.properties !== undefined)
    return nameOf(ref).split(".").at(-1) ?? "";
  if (ref !== undefined && (whole.type === undefined || whole.type === "object")) {
    return nameOf(ref).split(".").at(-1) ?? "";
  }
  return whole.type === undefined || whole.type === "object" ? "Object" : whole.type;
}

const indented = (text: string | undefined, fallback: string): string =>
  (text || fallback)
    .split("\n")
    .map((line) => `    ${line}`.trimEnd())
    .join("\n");

function fieldLines(node: OpenApiNode, all: Definitions, recursive: boolean, depth = 1): string {
  const { properties = {}, required = [] } = inner(node, all);
  return Object.keys(properties)
    .sort()
    .map((name) => {
      const field = properties[name] ?? {};
      const must = required.includes(name) ? " -required-" : "";
      const head = `${"  ".repeat(depth)}${name}\t<${typeText(field, all)}>${must}\n`;
      if (recursive) {
        return head + (depth < DEPTH_MAX ? fieldLines(field, all, true, depth + 1) : "");
      }
      const choices = field.enum === undefined ? "" : `  enum: ${field.enum.join(", ")}\n`;
      const text = resolved(field, all).description ?? field.description;
      return `${head}${choices}${indented(text, "<no description>")}\n\n`;
    })
    .join("");
}

export interface Explained {
  group: string;
  version: string;
  kind: string;
  path: readonly string[];
  recursive: boolean;
}

/** @throws OperatorError for a field that is not there. */
export function explainText(root: OpenApiNode, all: Definitions, what: Explained): string {
  let node = root;
  for (const name of what.path) {
    const next = inner(node, all).properties?.[name];
    if (next === undefined) throw new OperatorError(`field "${name}" does not exist`);
    node = next;
  }
  const group = what.group === "" ? "" : `GROUP:      ${what.group}\n`;
  const head = `${group}KIND:       ${what.kind}\nVERSION:    ${what.version}\n\n`;
  const last = what.path.at(-1);
  const parent = what.path
    .slice(0, -1)
    .reduce((at, name) => inner(at, all).properties?.[name] ?? {}, root);
  const must = last !== undefined && inner(parent, all).required?.includes(last);
  const field =
    last === undefined
      ? ""
      : `FIELD: ${last} <${typeText(node, all)}>${must ? " -required-" : ""}\n\n\n`;
  const choices =
    node.enum === undefined ? "" : `ENUM:\n${node.enum.map((e) => `    ${e}`).join("\n")}\n`;
  const text = resolved(node, all).description;
  const fields = fieldLines(node, all, what.recursive);
  const body = fields === "" ? "" : `FIELDS:\n${fields}`;
  return `${head}${field}${choices}DESCRIPTION:\n${indented(text, "<empty>")}\n${body}\n`;
}
