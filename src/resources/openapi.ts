/**
 * OpenAPI documents of what is served, made when asked for and kept as bytes.
 * https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-interface-definition
 */

import { createHash } from "node:crypto";
import { keepNewest } from "#base/bounded.ts";
import { limits } from "#base/limits.ts";
import type { Kind } from "#resources/kind.ts";
import { gnosticOf } from "#resources/openapi/gnostic.ts";
import { mergeV2, type OtherDocument } from "#resources/openapi/merge.ts";
import type { Operation } from "#resources/openapi/operation.ts";
import { byDocument, operationsOf } from "#resources/openapi/operations.ts";
import { pathsOf } from "#resources/openapi/render.ts";
import {
  type Dialect,
  type Doc,
  definitionsFor,
  kindKey,
  listName,
  schemaName,
  V2,
  V3,
} from "#resources/openapi/schemas.ts";
import tableText from "#resources/schema.gen.json" with { type: "text" };

/** JSON as it is sent, and what changes with it. */
export interface OpenApiDocument {
  readonly bytes: Uint8Array;
  /** For an ETag and for the `hash` of a URL. */
  readonly hash: string;
}

const INFO = { title: "Kubernetes", version: "v1.34.4" };
const encoder = new TextEncoder();

let tableHash: string | undefined;

/** Of the inputs: the documents themselves need not be made to know whether they changed. */
function hashOf(kinds: readonly Kind[]): string {
  tableHash ??= createHash("sha256")
    .update(tableText as unknown as string)
    .digest("hex");
  const hash = createHash("sha512").update(tableHash);
  for (const kind of kinds) hash.update(kindKey(kind));
  return hash.digest("hex").slice(0, 64).toUpperCase();
}

/** The documents asked for last. */
const made = new Map<string, OpenApiDocument>();

function remembered(
  key: string,
  make: () => Doc,
  bytesOf = (doc: Doc): Uint8Array => encoder.encode(JSON.stringify(doc)),
): OpenApiDocument {
  const known = made.get(key);
  made.delete(key);
  const document = known ?? {
    bytes: bytesOf(make()),
    hash: key.slice(key.indexOf("#") + 1),
  };
  made.set(key, document);
  keepNewest(made, limits.openApiDocumentsMax);
  return document;
}

function namesOf(kinds: readonly Kind[], operations: readonly Operation[]): Set<string> {
  const names = new Set(kinds.flatMap((kind) => [schemaName(kind), listName(kind)]));
  for (const { body, answer } of operations) {
    if (body !== undefined) names.add(body);
    if (answer !== undefined) names.add(answer);
  }
  return names;
}

function partsOf(kinds: readonly Kind[], dialect: Dialect): { paths: Doc; definitions: Doc } {
  const operations = kinds.flatMap(operationsOf);
  return {
    paths: pathsOf(operations, dialect),
    definitions: definitionsFor(namesOf(kinds, operations), kinds, dialect),
  };
}

function documentV2(kinds: readonly Kind[]): Doc {
  const { paths, definitions } = partsOf(kinds, V2);
  const bearer = { type: "apiKey", name: "authorization", in: "header" };
  return {
    swagger: "2.0",
    info: INFO,
    paths,
    definitions,
    securityDefinitions: { BearerToken: bearer },
    security: [{ BearerToken: [] }],
  };
}

const hashes = new WeakMap<OtherDocument, string>();

/** Of what is served here and by others. */
function hashWith(kinds: readonly Kind[], others: readonly OtherDocument[]): string {
  if (others.length === 0) return hashOf(kinds);
  const hash = createHash("sha512").update(hashOf(kinds));
  for (const other of others) {
    const known =
      hashes.get(other) ?? createHash("sha512").update(JSON.stringify(other)).digest("hex");
    hashes.set(other, known);
    hash.update(known);
  }
  return hash.digest("hex").slice(0, 64).toUpperCase();
}

/** `/openapi/v2`: everything in one, with what others serve. */
export const openApiV2 = (
  kinds: readonly Kind[],
  others: readonly OtherDocument[] = [],
): OpenApiDocument =>
  remembered(`v2#${hashWith(kinds, others)}`, () => mergeV2(documentV2(kinds), others));

/** The content type of `openApiV2Protobuf`; Go's clients take no other. */
export const OPENAPI_V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/** `/openapi/v2` for clients whose Accept names only that type. */
export const openApiV2Protobuf = (
  kinds: readonly Kind[],
  others: readonly OtherDocument[] = [],
): OpenApiDocument =>
  remembered(
    `v2pb#${hashWith(kinds, others)}`,
    () => mergeV2(documentV2(kinds), others),
    gnosticOf,
  );

/** `/openapi/v3`: the documents that there are, each with the hash of its content in its URL. */
export function openApiV3Index(kinds: readonly Kind[]): OpenApiDocument {
  const documents = [...byDocument(kinds)].map(([path, some]) => [path, hashOf(some)] as const);
  const all = createHash("sha256").update(JSON.stringify(documents)).digest("hex").toUpperCase();
  return remembered(`v3#${all}`, () => {
    const entries = documents.map(([path, hash]) => [
      path,
      { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` },
    ]);
    return { paths: Object.fromEntries(entries) };
  });
}

/**
 * One document of the index by its path there (`api/v1`, `apis/apps/v1`); undefined where there is
 * none.
 */
export function openApiV3(kinds: readonly Kind[], path: string): OpenApiDocument | undefined {
  const some = byDocument(kinds).get(path);
  if (some === undefined) return undefined;
  return remembered(`${path}#${hashOf(some)}`, () => {
    const { paths, definitions } = partsOf(some, V3);
    const bearer = { type: "apiKey", name: "authorization", in: "header" };
    return {
      openapi: "3.0.0",
      info: INFO,
      paths,
      components: { schemas: definitions, securitySchemes: { BearerToken: bearer } },
    };
  });
}
