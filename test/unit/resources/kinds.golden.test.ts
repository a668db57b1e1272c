import { describe, expect, test } from "bun:test";
import type { ApiObject } from "#resources/meta.ts";
import { checkMetadata } from "#resources/names.ts";
import { definitions } from "#resources/schema.ts";
import { checkShape } from "#resources/shape.ts";
import { bare, changed, type Golden, kindOf, objects, type Recording } from "./kinds.cases.ts";

/**
 * What Kubernetes' own code makes of these objects: defaults, strategies and printers of v1.34.4,
 * run by `kinds.oracle.go`, recorded by `kinds.record.ts`.
 */
const lines = await Bun.file(new URL("./kinds.golden.jsonl", import.meta.url)).text();
const [recording, ...golden]: [Recording, ...Golden[]] = JSON.parse(
  `[${lines.trimEnd().replaceAll("\n", ",")}]`,
);
/** Ages were printed then. */
const recordedAt = Date.parse(recording.recordedAt);

const decode = (object: ApiObject): ApiObject => {
  const { schema } = kindOf(object);
  const { decodeError } = checkShape(object, definitions()[schema as string] ?? {});
  if (decodeError !== undefined) throw new Error(decodeError);
  return object;
};

function stored(object: ApiObject, old?: ApiObject): ApiObject {
  const kind = kindOf(object);
  kind.defaults(object);
  kind.prepare(object, old, { name: "tester", groups: [] });
  return object;
}

const base = ({ on }: Golden): ApiObject => {
  const object: ApiObject | undefined = objects.get(on);
  if (!object) throw new Error(`no object ${on}`);
  return structuredClone(object);
};

/** The object that is there before an update: as it was created, with the status it has got since. */
function before(one: Golden): ApiObject {
  const object = base(one) as ApiObject & { status?: object };
  const made = stored(decode(structuredClone(object))) as ApiObject & { status?: object };
  if (object.status) made.status = { ...made.status, ...object.status };
  made.metadata = { ...made.metadata, resourceVersion: "1" };
  return made;
}

/** Differences that Kubernetes prints after the first line are its own. */
const firstLine = (text: string): string => text.split("\n")[0] ?? "";

function causesOf(one: Golden): string[] {
  const old = one.way === "create" ? undefined : before(one);
  const object = decode(changed(old ?? base(one), one));
  const kind = kindOf(object);
  if (one.way === "status") kind.defaults(object);
  else stored(object, old);
  const causes = [
    ...checkMetadata(object.metadata ?? {}, "metadata"),
    ...kind.validate(object, old, one.way === "status" ? "status" : ""),
  ];
  return [...new Set(causes.map(({ field, message }) => firstLine(`${field}: ${message}`)))].sort();
}

const title = ({ on, at, value }: Golden): string =>
  at === undefined ? on : `${on}: ${at.join(".")} = ${JSON.stringify(value)}`;

const of = (field: keyof Golden): Golden[] => golden.filter((one) => one[field] !== undefined);

describe("kinds refuse in the words of Kubernetes", () => {
  for (const one of of("causes")) {
    test(`${one.way} ${title(one)}`, () => {
      expect(causesOf(one)).toEqual(one.causes ?? []);
    });
  }
});

describe("kinds store what Kubernetes stores", () => {
  for (const one of of("stored")) {
    test(title(one), () => {
      const object = stored(decode(base(one)));
      expect(bare(object)).toEqual(one.stored);
    });
  }
});

describe("kinds print the columns of Kubernetes", () => {
  for (const one of of("head")) {
    test(title(one), () => {
      const head = kindOf(base(one)).columns.map(
        ({ name, type = "string", format = name === "Name" ? "name" : "", priority = 0 }) =>
          `${name} ${type} ${format} ${priority}`,
      );
      expect(head).toEqual(one.head ?? []);
    });
  }

  for (const one of of("row")) {
    test(title(one), () => {
      const object = decode(changed(base(one), one));
      kindOf(object).defaults(object);
      const row = kindOf(object).columns.map((column) => column.cell(object, recordedAt));
      expect(row as unknown[]).toEqual(one.row ?? []);
    });
  }
});
