/** What every built-in kind must do; run it on all of them. */
import { describe, expect, test } from "bun:test";
import { apiVersionOf, type Kind } from "#resources/kind.ts";
import type { ApiObject } from "#resources/meta.ts";
import { checkMetadata } from "#resources/names.ts";
import { definitions, type Schema } from "#resources/schema.ts";
import { checkShape } from "#resources/shape.ts";

const NOW = Date.parse("2026-01-02T00:00:00Z");

const schemaOf = ({ schema }: Kind): Schema =>
  (typeof schema === "string" ? definitions()[schema] : schema) ?? {};

export function checkKind(kind: Kind, minimal: ApiObject | undefined): void {
  describe(`${apiVersionOf(kind)} ${kind.kind}`, () => {
    const empty = (): ApiObject => ({ apiVersion: apiVersionOf(kind), kind: kind.kind });

    test("has its definition, with its name in it", () => {
      const { group, version } = kind;
      expect(schemaOf(kind)["x-kubernetes-group-version-kind"]).toContainEqual({
        group,
        version,
        kind: kind.kind,
      });
    });

    test("has names that fit one another", () => {
      expect(kind.plural).toBe(kind.plural.toLowerCase());
      expect(kind.singular).toBe(kind.kind.toLowerCase());
      expect(kind.listKind).toBe(`${kind.kind}List`);
      expect(new Set([kind.plural, kind.singular, ...kind.shortNames]).size).toBe(
        kind.shortNames.length + (kind.plural === kind.singular ? 1 : 2),
      );
    });

    test("sets defaults on an object with nothing in it, and the same ones again", () => {
      const object = empty();
      kind.defaults(object);
      expect(checkShape(object, schemaOf(kind))).toEqual({ unknownFields: [], causes: [] });
      const once = structuredClone(object);
      kind.defaults(object);
      expect(object).toEqual(once);
    });

    test("prints and names the fields of an object with nothing in it", () => {
      const names = kind.columns.map(({ name }) => name);
      if (names.length > 0) expect(names).toContain("Name");
      for (const column of kind.columns) expect(column.cell(empty(), NOW)).not.toBeUndefined();
      for (const value of Object.values(kind.fields(empty()))) expect(value).toBeString();
    });

    test("says what is missing of an object with nothing in it", () => {
      const object = empty();
      kind.defaults(object);
      kind.prepare(object, undefined);
      for (const cause of kind.validate(object, undefined)) {
        expect(cause.field).not.toContain("undefined");
        expect(cause.message).not.toContain("undefined");
      }
    });

    if (minimal) checkMinimal(kind, minimal);
  });
}

function checkMinimal(kind: Kind, minimal: ApiObject): void {
  const made = (): ApiObject => {
    const object = structuredClone(minimal);
    kind.defaults(object);
    kind.prepare(object, undefined);
    return object;
  };

  test("takes the least that a client may write, and the same again", () => {
    expect(checkShape(structuredClone(minimal), schemaOf(kind)).causes).toEqual([]);
    const object = made();
    expect(checkMetadata(object.metadata ?? {}, "metadata")).toEqual([]);
    expect(kind.validate(object, undefined)).toEqual([]);
    expect(checkShape(object, schemaOf(kind))).toEqual({ unknownFields: [], causes: [] });
    const next = structuredClone(object);
    kind.defaults(next);
    kind.prepare(next, object);
    expect(kind.validate(next, object, "")).toEqual([]);
    expect(next).toEqual(object);
  });

  test("prints numbers and truths where a column is of them", () => {
    for (const { name, type, cell } of kind.columns) {
      const value = cell(made(), NOW);
      if (type === "integer") expect(`${name} ${typeof value}`).toBe(`${name} number`);
      if (type === "boolean") expect(["true", "false", "True", "False"]).toContain(`${value}`);
    }
  });

  const { storedAs } = kind;
  if (!storedAs) return;
  test("comes back as it was from the version that it is stored in", () => {
    const object = made();
    const { apiVersion: _, ...back } = storedAs.fromStored(storedAs.toStored(object));
    const { apiVersion: __, ...before } = object;
    expect(back).toEqual(before);
  });
}
