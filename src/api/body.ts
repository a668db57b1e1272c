/** Request bodies: bounded, JSON or YAML, with what the client wants done about stray fields. */
import { type Document, isScalar, LineCounter, parseDocument, visit } from "yaml";
import type { Call } from "#api/core.ts";
import { findDuplicateFields } from "#api/duplicates.ts";
import { type ApiError, type Named, refuse } from "#api/errors.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import { isDeeper } from "#resources/patch/values.ts";
import { decodeProtobuf, ProtobufError } from "#resources/protobuf.ts";
import type { Json } from "#resources/types.gen.ts";

export type FieldValidation = "Strict" | "Warn" | "Ignore";

const JSON_TYPE = "application/json";
const YAML_TYPE = "application/yaml";
const PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf";

/** What is read of a request here; a copy of one will do. */
interface BodySource {
  readonly headers: Pick<Headers, "get">;
  text(): Promise<string>;
  arrayBuffer(): Promise<ArrayBuffer>;
}

export function mediaTypeOf(request: Pick<BodySource, "headers">): string {
  const header = request.headers.get("content-type");
  if (header === null || header === JSON_TYPE) return JSON_TYPE;
  const semicolon = header.indexOf(";");
  return (semicolon < 0 ? header : header.slice(0, semicolon)).trim().toLowerCase();
}

/** @throws ApiError 413 past the limit. */
export async function readText(request: BodySource): Promise<string> {
  const length = Number(request.headers.get("content-length") ?? 0);
  const max = limits.requestBodyBytesMax;
  if (length > max) throw refuse.tooLarge(`limit is ${max}`);
  const text = await request.text();
  if (text.length > max) throw refuse.tooLarge(`limit is ${max}`);
  return text;
}

const unrecognized = (why: string): ApiError =>
  refuse.badRequest(`the object provided is unrecognized: ${why}`);

function parseJson(text: string): Json {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (error) {
    throw unrecognized(messageOf(error));
  }
  // Each level takes two characters: a short text has few levels.
  const max = limits.objectDepthMax;
  if (text.length > 2 * max && isDeeper(value, max)) throw unrecognized("exceeded max depth");
  return value;
}

/** Keys that a map sets twice, in the words of Go's YAML decoder. */
function doubledKeys(document: Document, lines: LineCounter): string[] {
  const found: string[] = [];
  visit(document, {
    Map(_, map) {
      const seen = new Set<unknown>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        const line = lines.linePos(key.range?.[0] ?? 0).line;
        const name = JSON.stringify(key.value);
        if (seen.has(key.value)) found.push(`  line ${line}: key ${name} already set in map`);
        seen.add(key.value);
      }
    },
  });
  return found;
}

const noYaml = (why: string): ApiError =>
  refuse.badRequest(`error converting YAML to JSON: yaml: ${why}`);

/** Subtracts the expanded size of a value. Stops below zero, because aliases multiply the size. */
function leftOf(value: Json, left: number): number {
  if (typeof value === "string") return left - value.length;
  if (typeof value !== "object" || value === null) return left - 1;
  let rest = left - 1;
  for (const key in value) {
    rest = leftOf((value as Record<string, Json>)[key] as Json, rest - key.length);
    if (rest < 0) return rest;
  }
  return rest;
}

/** @throws ApiError 400 for an undefined alias, and if the expanded value is too large or deep. */
function plainOf(document: Document): Json {
  let value: Json;
  try {
    value = document.toJS({ maxAliasCount: 100 }) as Json;
    if (leftOf(value, limits.requestBodyBytesMax) >= 0) {
      if (isDeeper(value, limits.objectDepthMax)) throw new Error("exceeded max depth");
      return value;
    }
  } catch (error) {
    throw noYaml(messageOf(error));
  }
  throw noYaml("document contains excessive aliasing");
}

/** YAML as JSON would have it: times stay text, one document only. */
export function parseYaml(text: string): { readonly value: Json; doubled(): string[] } {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, {
    schema: "core",
    uniqueKeys: false,
    logLevel: "silent",
    lineCounter,
  });
  const [problem] = document.errors;
  if (problem !== undefined) throw noYaml(messageOf(problem));
  const value = plainOf(document);
  return { value, doubled: () => doubledKeys(document, lineCounter) };
}

/** Parses a body as its content type says. @throws ApiError 415 for a type that we do not read. */
export function parseBody(text: string, mediaType: string): Json {
  switch (mediaType) {
    case JSON_TYPE:
    case "":
      return parseJson(text);
    case YAML_TYPE:
    case "application/x-yaml":
    case "text/yaml":
      return parseYaml(text).value;
    default:
      throw refuse.mediaType([JSON_TYPE, YAML_TYPE, PROTOBUF_TYPE]);
  }
}

export interface Body {
  readonly raw: Json;
  /** Empty for a body that is no text. */
  readonly text: string;
  readonly mediaType: string;
}

async function readProtobuf(request: BodySource): Promise<Json> {
  const bytes = new Uint8Array(await request.arrayBuffer());
  const max = limits.requestBodyBytesMax;
  if (bytes.length > max) throw refuse.tooLarge(`limit is ${max}`);
  try {
    return decodeProtobuf(bytes);
  } catch (error) {
    if (!(error instanceof ProtobufError)) throw error;
    throw unrecognized(messageOf(error));
  }
}

/** An empty body stands for `empty`, where that is given. @throws ApiError 400, 413, 415. */
export async function readBody(request: BodySource, empty = ""): Promise<Body> {
  const mediaType = mediaTypeOf(request);
  if (mediaType === PROTOBUF_TYPE) return { raw: await readProtobuf(request), text: "", mediaType };
  const text = (await readText(request)) || empty;
  return { raw: parseBody(text, mediaType), text, mediaType };
}

const OPTIONS: Record<string, string> = {
  PUT: "UpdateOptions",
  PATCH: "PatchOptions",
  DELETE: "DeleteOptions",
};

/** What a request's own parameters are called in a refusal. */
export function optionsOf(call: Call): Named {
  const kind = OPTIONS[call.request.method] ?? "CreateOptions";
  return { group: "meta.k8s.io", plural: kind.toLowerCase(), kind };
}

/** What to do about unknown and doubled fields; the server's default is to warn (KEP-2885). */
export function fieldValidationOf(call: Call): FieldValidation {
  const asked = call.query.get("fieldValidation");
  if (asked === null || asked === "") return "Warn";
  if (asked === "Strict" || asked === "Warn" || asked === "Ignore") return asked;
  throw refuse.invalid(optionsOf(call), "", [
    {
      reason: "FieldValueNotSupported",
      field: "fieldValidation",
      message:
        `Unsupported value: ${JSON.stringify(asked)}: supported values: ` +
        `"", "Ignore", "Strict", "Warn"`,
    },
  ]);
}

/** Paths of doubled fields, only where somebody asked to be told. */
export function duplicatesOf(call: Call, { text, mediaType }: Body): string[] {
  const asked = call.query.get("fieldValidation");
  if (asked === null || asked === "Ignore" || mediaType !== JSON_TYPE) return [];
  return findDuplicateFields(text);
}
