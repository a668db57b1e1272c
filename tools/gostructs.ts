/**
 * Reads the structs of Kubernetes' API packages out of their Go sources, with the tags of the
 * fields.
 */
import { join } from "node:path";
import { Glob } from "bun";
import { KUBERNETES_MODULES, moduleFolders } from "./gomodules.ts";

export interface GoField {
  /** Name in JSON; empty where the type's fields are spread into the struct. */
  readonly json: string;
  /** As written: `*metav1.LabelSelector`. */
  readonly type: string;
  readonly omitEmpty: boolean;
  readonly omitZero: boolean;
  /** Field number; 0 where the field is not in the protobuf message. */
  readonly number: number;
}

export interface GoPackage {
  /** `io.k8s.api.core.v1`, as OpenAPI names it. */
  readonly name: string;
  readonly structs: Map<string, GoField[]>;
  /** `type Verbs []string`. */
  readonly aliases: Map<string, string>;
  /** Short name of an import -> name of the package. */
  readonly imports: Map<string, string>;
}

const FIELD = /^\s*(?:(\w+)\s+)?([*\w.[\]]+)\s+`(.*)`/;

export const packageName = (path: string): string =>
  path.replace(/^k8s\.io/, "io.k8s").replaceAll("/", ".");

function fieldsOf(body: string): GoField[] {
  const fields: GoField[] = [];
  for (const line of body.split("\n")) {
    const [, , type = "", tags = ""] = FIELD.exec(line) ?? [];
    const tag = /json:"([^"]*)"/.exec(tags)?.[1];
    const wire = /protobuf:"\w+,(\d+)(?:,[\w]+)*(?:,name=(\w+))?/.exec(tags);
    if (tag === undefined && wire === null) continue;
    const [json = "", ...options] = (tag ?? wire?.[2] ?? "").split(",");
    if (json === "-") continue;
    fields.push({
      json: options.includes("inline") ? "" : json,
      type,
      omitEmpty: options.includes("omitempty"),
      omitZero: options.includes("omitzero"),
      number: Number(wire?.[1] ?? 0),
    });
  }
  return fields;
}

const STRUCT = /^type (\w+) struct ?\{(?:\n([\s\S]*?)^)?\}/gm;

function readInto(found: GoPackage, source: string): void {
  for (const [, name = "", body = ""] of source.matchAll(STRUCT)) {
    found.structs.set(name, fieldsOf(body));
  }
  for (const [, name = "", type = ""] of source.matchAll(/^type (\w+) =?\s*([\w.[\]*]+)$/gm)) {
    found.aliases.set(name, type);
  }
  for (const [, short, path = ""] of source.matchAll(/^\s*(\w+)?\s*"(k8s\.io\/[^"]+)"$/gm)) {
    found.imports.set(short ?? path.split("/").at(-1) ?? "", packageName(path));
  }
}

/** Packages of the Kubernetes modules by their name. */
export async function goPackages(): Promise<Map<string, GoPackage>> {
  const result = new Map<string, GoPackage>();
  for (const [path, dir] of await moduleFolders(KUBERNETES_MODULES)) {
    for await (const file of new Glob("**/*.go").scan(dir)) {
      if (/(_test|zz_generated.*|generated\.pb|.*_swagger_doc_generated)\.go$/.test(file)) continue;
      const folder = file.split("/").slice(0, -1).join("/");
      const name = packageName(folder === "" ? path : `${path}/${folder}`);
      const known = result.get(name);
      const found = known ?? { name, structs: new Map(), aliases: new Map(), imports: new Map() };
      if (known === undefined) result.set(name, found);
      readInto(found, await Bun.file(join(dir, file)).text());
    }
  }
  return result;
}
