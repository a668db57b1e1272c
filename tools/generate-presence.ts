/**
 * Makes `src/resources/managed/presence.gen.json`: the fields that Go's typed objects always have,
 * even where JSON leaves them out (structs that are no pointers, lists and maps without
 * `omitempty`). Nobody becomes the owner of such a field by setting something in it.
 *
 *   bun tools/generate-presence.ts        needs `go`
 */
import { join } from "node:path";
import { definitions, resolve, type Schema } from "../src/resources/schema.ts";
import { type GoField, goPackages } from "./gostructs.ts";

const OUT = join(import.meta.dir, "../src/resources/managed/presence.gen.json");

/**
 * Own fields and those of inlined types. Inlined types of other packages hold nothing that matters
 * here.
 */
function allFields(structs: Map<string, GoField[]>, name: string): GoField[] {
  const fields = structs.get(name) ?? [];
  return fields.flatMap((field) => (field.json === "" ? allFields(structs, field.type) : [field]));
}

function isPresent(field: GoField, node: Schema): boolean {
  const schema = resolve(node);
  if (schema.type !== "object" && schema.type !== "array") return false;
  if (field.omitZero) return false;
  const isStruct = schema.properties !== undefined && !/^(\*|\[)/.test(field.type);
  return isStruct || !field.omitEmpty;
}

const all = await goPackages();
const table: Record<string, string[]> = {};
for (const [full, schema] of Object.entries(definitions())) {
  const dot = full.lastIndexOf(".");
  const structs = all.get(full.slice(0, dot))?.structs;
  if (structs === undefined) continue;
  const fields = allFields(structs, full.slice(dot + 1));
  const present = fields.filter(({ json }) => schema.properties?.[json] !== undefined);
  const names = present
    .filter((field) => isPresent(field, schema.properties?.[field.json] ?? {}))
    .map((field) => field.json);
  if (names.length > 0) table[full] = names.sort();
}
await Bun.write(OUT, `${JSON.stringify(table)}\n`);
console.log(`${Object.keys(table).length} definitions`);
