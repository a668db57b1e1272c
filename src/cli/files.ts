/** Objects from files, folders and standard input, as YAML or JSON, lists taken apart. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { messageOf, OperatorError, UsageError } from "#base/errors.ts";
import type { CliIo } from "#cli/verb.ts";
import type { ApiObject } from "#resources/meta.ts";

export interface FileObject {
  /** Where it came from, for messages: the file's name, or `STDIN`. */
  source: string;
  object: ApiObject;
}

const SUFFIXES = [".json", ".yaml", ".yml"];

function filesIn(path: string, recursive: boolean): string[] {
  if (!existsSync(path)) throw new OperatorError(`the path "${path}" does not exist`);
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const inner = join(path, entry.name);
      if (entry.isDirectory()) return recursive ? filesIn(inner, true) : [];
      return SUFFIXES.some((suffix) => entry.name.endsWith(suffix)) ? [inner] : [];
    });
}

function parsed(text: string, source: string): unknown[] {
  const documents = parseAllDocuments(text, {
    schema: "core",
    uniqueKeys: false,
    logLevel: "silent",
  });
  if (!Array.isArray(documents)) return [];
  return documents.map((document) => {
    const [problem] = document.errors;
    if (problem !== undefined) {
      throw new OperatorError(
        `error parsing ${source}: error converting YAML to JSON: yaml: ${messageOf(problem)}`,
      );
    }
    return document.toJS({ maxAliasCount: 100 }) as unknown;
  });
}

function unlisted(value: unknown, source: string): FileObject[] {
  if (value === null || value === undefined) return [];
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new OperatorError(`error parsing ${source}: a map with apiVersion and kind is needed`);
  }
  const object = value as ApiObject & { items?: unknown[] };
  if (Object.keys(object).length === 0) return [];
  const missing = ["apiVersion", "kind"].filter((key) => !(key in object));
  if (missing.length > 0) {
    throw new OperatorError(
      `error validating "${source}": error validating data: [${missing
        .map((key) => `${key} not set`)
        .join(", ")}]`,
    );
  }
  if (object.kind?.endsWith("List") && Array.isArray(object.items)) {
    return object.items.flatMap((item) => unlisted(item, source));
  }
  return [{ source, object }];
}

/**
 * @throws OperatorError for a path that is not there or no YAML; UsageError where there is nothing
 * to do.
 */
export async function readObjects(
  paths: readonly string[],
  options: { recursive?: boolean; io: CliIo },
): Promise<FileObject[]> {
  const found: FileObject[] = [];
  for (const path of paths.flatMap((each) => each.split(","))) {
    if (path === "-") {
      const text = await options.io.stdin();
      found.push(...parsed(text, "STDIN").flatMap((each) => unlisted(each, "STDIN")));
      continue;
    }
    for (const file of filesIn(path, options.recursive === true)) {
      const text = readFileSync(file, "utf8");
      found.push(...parsed(text, file).flatMap((each) => unlisted(each, file)));
    }
  }
  if (found.length === 0) throw new UsageError("no objects passed");
  return found;
}
