/** Errors of validation, in the words of Kubernetes (apimachinery util/validation/field). */

export type CauseType =
  | "FieldValueRequired"
  | "FieldValueInvalid"
  | "FieldValueNotSupported"
  | "FieldValueForbidden"
  | "FieldValueDuplicate"
  | "FieldValueNotFound"
  | "FieldValueTooLong"
  | "FieldValueTooMany"
  | "FieldValueTypeInvalid";

export interface Cause {
  readonly reason: CauseType;
  /** As `spec.containers[0].name`. */
  readonly field: string;
  /** As `Invalid value: "x": must be …`; without the field's path. */
  readonly message: string;
}

/** A value in a message, as Go's `%#v`-like quoting shows it: strings quoted, the rest as JSON. */
const shown = (value: unknown): string => JSON.stringify(value) ?? "null";

export const required = (field: string, detail = ""): Cause => ({
  reason: "FieldValueRequired",
  field,
  message: detail === "" ? "Required value" : `Required value: ${detail}`,
});

export const invalid = (field: string, value: unknown, detail: string): Cause => ({
  reason: "FieldValueInvalid",
  field,
  message:
    detail === "" ? `Invalid value: ${shown(value)}` : `Invalid value: ${shown(value)}: ${detail}`,
});

export const notSupported = (field: string, value: unknown, valid: readonly string[]): Cause => ({
  reason: "FieldValueNotSupported",
  field,
  message: `Unsupported value: ${shown(value)}: supported values: ${valid.map(shown).join(", ")}`,
});

export const forbidden = (field: string, detail: string): Cause => ({
  reason: "FieldValueForbidden",
  field,
  message: `Forbidden: ${detail}`,
});

export const duplicate = (field: string, value: unknown): Cause => ({
  reason: "FieldValueDuplicate",
  field,
  message: `Duplicate value: ${shown(value)}`,
});

export const tooLong = (field: string, bytesMax: number): Cause => ({
  reason: "FieldValueTooLong",
  field,
  message: `Too long: may not be more than ${bytesMax} bytes`,
});

export const notFound = (field: string, value: unknown): Cause => ({
  reason: "FieldValueNotFound",
  field,
  message: `Not found: ${shown(value)}`,
});

export const typeInvalid = (field: string, value: unknown, detail: string): Cause => ({
  reason: "FieldValueTypeInvalid",
  field,
  message: `Invalid value: ${shown(value)}: ${detail}`,
});

export const tooMany = (field: string, count: number, countMax: number): Cause => ({
  reason: "FieldValueTooMany",
  field,
  message: `Too many: ${count}: must have at most ${countMax} items`,
});
