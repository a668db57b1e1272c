/**
 * Makes `src/resources/pointers.gen.json`: the fields that are pointers in Go's typed objects,
 * where what is absent differs from false, 0, empty text or an empty struct.
 *
 *   bun tools/generate-pointers.ts        needs `go`
 */
import { join } from "node:path";
import { definitions } from "../src/resources/schema.ts";
import { type GoField, goPackages } from "./gostructs.ts";

const OUT = join(import.meta.dir, "../src/resources/pointers.gen.json");

/** Own fields and those of inlined types of the same package. */
function allFields(structs: Map<string, GoField[]>, name: string): GoField[] {
  const fields = structs.get(name) ?? [];
  return fields.flatMap((field) => (field.json === "" ? allFields(structs, field.type) : [field]));
}

const all = await goPackages();
const table: Record<string, string[]> = {};
for (const [full, schema] of Object.entries(definitions())) {
  const dot = full.lastIndexOf(".");
  const structs = all.get(full.slice(0, dot))?.structs;
  if (structs === undefined) continue;
  const names = allFields(structs, full.slice(dot + 1))
    .filter(({ json, type }) => schema.properties?.[json] !== undefined && type.startsWith("*"))
    .map(({ json }) => json);
  if (names.length > 0) table[full] = names.sort();
}
await Bun.write(OUT, `${JSON.stringify(table)}\n`);
console.log(`${Object.keys(table).length} definitions`);
