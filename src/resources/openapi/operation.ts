/** One operation of an OpenAPI document, in neither of its versions. */
import { PATCH } from "#resources/openapi/schemas.ts";

export interface Parameter {
  readonly name: string;
  readonly type: "string" | "boolean" | "integer";
}

export interface Operation {
  readonly path: string;
  readonly method: "get" | "put" | "post" | "delete" | "patch";
  readonly action: string;
  readonly gvk: { readonly group: string; readonly kind: string; readonly version: string };
  readonly id: string;
  /** Name of the body's definition. */
  readonly body?: string;
  /** Name of the answer's definition; without one it is text or a stream. */
  readonly answer?: string;
  readonly codes: readonly number[];
  readonly query: readonly Parameter[];
  /** Of a custom resource: it has neither protobuf nor strategic patches. */
  readonly custom?: boolean;
}

export const param = (type: Parameter["type"], ...names: string[]): Parameter[] =>
  names.map((name) => ({ name, type }));

/** Every write takes these. */
export const WRITE = param("string", "dryRun", "fieldManager", "fieldValidation");
const APPLY = [...WRITE, ...param("boolean", "force")];

/** Get, put and patch of one path. */
export function readAndWrite(about: {
  readonly path: string;
  readonly gvk: Operation["gvk"];
  readonly name: string;
  readonly serves: (verb: string) => boolean;
  readonly id: (verb: string) => string;
}): Operation[] {
  const { path, gvk, name, serves, id } = about;
  const base = { path, gvk, answer: name };
  const codes = [200, 201];
  const out: Operation[] = [];
  if (serves("get")) {
    out.push({ ...base, method: "get", action: "get", id: id("read"), codes: [200], query: [] });
  }
  if (serves("update")) {
    const put = { body: name, codes, query: WRITE, id: id("replace") };
    out.push({ ...base, ...put, method: "put", action: "put" });
  }
  if (serves("patch")) {
    const patch = { body: PATCH, codes, query: APPLY, id: id("patch") };
    out.push({ ...base, ...patch, method: "patch", action: "patch" });
  }
  return out;
}
