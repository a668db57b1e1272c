/**
 * Makes the facts about Kubernetes' built-in kinds from the JSON schemas that a PyPI package ships:
 * `src/resources/schema.gen.json` (fields, list types, merge keys; no descriptions) and
 * `src/resources/types.gen.ts` (static types of the same definitions).
 *
 *   bun run generate        needs `pip` and `unzip`; the package is pinned below
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { $ } from "bun";

const PACKAGE = "kubernetes-validate==1.37.0";
const DEFINITIONS = "kubernetes_validate/kubernetes-json-schema/v1.34.0-local/_definitions.json";
const OUT = join(import.meta.dir, "../src/resources");

interface Node {
  $ref?: string;
  type?: string | string[];
  format?: string;
  properties?: Record<string, Node>;
  required?: string[];
  items?: Node;
  additionalProperties?: Node | boolean;
  oneOf?: Node[];
  default?: unknown;
  [extension: `x-${string}`]: unknown;
}

const REF = "#/$defs/";
const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";
/** Served by default in v1.34: stable versions only (KEP-3136). */
const stable = (name: string): boolean => !/\.v\d+(alpha|beta)\d+\./.test(name);

async function definitions(): Promise<Record<string, Node>> {
  const dir = mkdtempSync(join(tmpdir(), "bramble-schema-"));
  try {
    await $`pip download -q --no-deps -d ${dir} ${PACKAGE}`.quiet();
    await $`unzip -q -o ${dir}/*.whl -d ${dir}`.quiet();
    return (await Bun.file(join(dir, DEFINITIONS)).json()).$defs;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Keeps what the table needs of one node; `nullable` types lose their null. */
function compact(node: Node): Node {
  const out: Node = {};
  if (node.$ref !== undefined) out.$ref = node.$ref.slice(REF.length);
  const types = [node.type ?? []].flat().filter((t) => t !== "null");
  if (types.length === 1) out.type = types[0] as string;
  if (node.format !== undefined) out.format = node.format;
  if (node.default !== undefined) out.default = node.default;
  for (const key of Object.keys(node)) {
    if (key.startsWith("x-kubernetes-")) out[key as `x-${string}`] = node[key as `x-${string}`];
  }
  if (node.required !== undefined) out.required = node.required;
  if (node.items !== undefined) out.items = compact(node.items);
  if (typeof node.additionalProperties === "object") {
    out.additionalProperties = compact(node.additionalProperties);
  }
  if (node.properties !== undefined) {
    out.properties = Object.fromEntries(
      Object.entries(node.properties).map(([name, child]) => [name, compact(child)]),
    );
  }
  return out;
}

const SCALARS: Record<string, string> = {
  "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "number | string",
  "io.k8s.apimachinery.pkg.api.resource.Quantity": "string",
  [`${META}Time`]: "string",
  [`${META}MicroTime`]: "string",
  [`${META}FieldsV1`]: "Json",
  "io.k8s.apimachinery.pkg.runtime.RawExtension": "Json",
};

/** Short names; where two groups share one, the later ones carry their group and version. */
function typeNames(names: string[]): Map<string, string> {
  const result = new Map<string, string>();
  const taken = new Set<string>();
  const core = (n: string) => (n.includes("api.core.") || n.startsWith(META) ? 0 : 1);
  for (const full of [...names].sort((a, b) => core(a) - core(b) || a.localeCompare(b))) {
    const [group = "", version = "", kind = ""] = full.split(".").slice(-3);
    const title = (s: string) => s.charAt(0).toUpperCase() + s.slice(1);
    const name = taken.has(kind) ? `${title(group)}${title(version)}${kind}` : kind;
    taken.add(name);
    result.set(full, name);
  }
  return result;
}

function typeOf(node: Node, names: Map<string, string>): string {
  if (node.$ref !== undefined) return names.get(node.$ref) ?? "Json";
  if (node.type === "string") return "string";
  if (node.type === "boolean") return "boolean";
  if (node.type === "integer" || node.type === "number") return "number";
  if (node.type === "array") return `Array<${node.items ? typeOf(node.items, names) : "Json"}>`;
  if (node.additionalProperties !== undefined) {
    return `Record<string, ${typeOf(node.additionalProperties as Node, names)}>`;
  }
  return node.type === "object" ? "Record<string, Json>" : "Json";
}

function declaration(full: string, node: Node, names: Map<string, string>): string {
  const name = names.get(full);
  const scalar = SCALARS[full];
  if (scalar !== undefined) return `export type ${name} = ${scalar};`;
  if (node.properties === undefined) return `export type ${name} = Json;`;
  const kinds = node["x-kubernetes-group-version-kind"] !== undefined;
  const required = new Set(node.required ?? []);
  const lines = Object.entries(node.properties).map(([field, child]) => {
    const key = /^[A-Za-z_]\w*$/.test(field) ? field : JSON.stringify(field);
    const mark = required.has(field) && !(kinds && field === "metadata") ? "" : "?";
    return `  ${key}${mark}: ${typeOf(child, names)};`;
  });
  return `export interface ${name} {\n${lines.join("\n")}\n}`;
}

const all = await definitions();
const kept = Object.entries(all).filter(([name]) => stable(name));
const table = Object.fromEntries(kept.map(([name, node]) => [name, compact(node)]));
const names = typeNames(Object.keys(table));
const header = `// Made by tools/generate-resources.ts from ${PACKAGE}; do not edit.\n`;
const json =
  "export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };";
const types = Object.entries(table).map(([name, node]) => declaration(name, node, names));
await Bun.write(join(OUT, "types.gen.ts"), `${header}${json}\n${types.join("\n")}\n`);
await Bun.write(join(OUT, "schema.gen.json"), `${JSON.stringify(table)}\n`);
console.log(`${kept.length} of ${Object.keys(all).length} definitions`);
