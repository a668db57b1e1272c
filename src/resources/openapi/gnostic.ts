/**
 * The OpenAPI 2 document as protobuf (gnostic's openapi.v2), which is all that client-go's
 * discovery asks for: `application/com.github.proto-openapi.spec.v2@v1.0+protobuf`.
 * https://github.com/google/gnostic-models/blob/main/openapiv2/OpenAPIv2.proto
 */
import type { Doc } from "#resources/openapi/schemas.ts";
import { Wire, Writer } from "#resources/protobuf/wire.ts";

type Write = (value: unknown) => void;

/** JSON name -> number and way of writing. */
type Message = Readonly<Record<string, readonly [number, Kind]>>;
type Kind = "text" | "texts" | "flag" | "count" | "double" | "any" | "anys" | Write;

class GnosticWriter extends Writer {
  part(number: number, write: () => void): void {
    const before = this.size;
    write();
    this.close(number, before);
  }

  /** JSON is YAML. */
  any(number: number, value: unknown): void {
    this.part(number, () => this.textField(2, JSON.stringify(value)));
  }

  texts(number: number, value: unknown): void {
    for (const text of [...(value as string[])].reverse()) this.textField(number, text);
  }

  field(number: number, kind: Kind, value: unknown): void {
    if (typeof kind === "function") {
      this.part(number, () => kind(value));
      return;
    }
    switch (kind) {
      case "text":
        this.textField(number, String(value));
        break;
      case "texts":
        this.texts(number, value);
        break;
      case "flag":
        this.intField(number, value === true ? 1 : 0);
        break;
      case "count":
        this.intField(number, Number(value));
        break;
      case "double":
        this.double(Number(value));
        this.tag(number, Wire.fixed64);
        break;
      case "any":
        this.any(number, value);
        break;
      case "anys":
        for (const item of [...(value as unknown[])].reverse()) this.any(number, item);
    }
  }

  /** Fields by the table; those that begin with `x-` as extensions. */
  message(doc: Doc, fields: Message, extensions: number): void {
    for (const [key, value] of Object.entries(doc).reverse()) {
      const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
      if (field !== undefined) this.field(field[0], field[1], value);
      else if (key.startsWith("x-")) {
        this.part(extensions, () => {
          this.any(2, value);
          this.textField(1, key);
        });
      }
    }
  }

  /** A map as a list of names and values. */
  named(number: number, docs: Doc, write: (value: Doc) => void): void {
    for (const [name, value] of Object.entries(docs).reverse()) {
      this.part(number, () => {
        this.part(2, () => write(value as Doc));
        this.textField(1, name);
      });
    }
  }
}

const METHODS: Readonly<Record<string, number>> = { get: 2, put: 3, post: 4, delete: 5, patch: 8 };
const INFO: Message = { title: [1, "text"], version: [2, "text"] };
const QUERY: Message = { in: [2, "text"], name: [4, "text"], type: [6, "text"] };
const PATH: Message = {
  required: [1, "flag"],
  in: [2, "text"],
  name: [4, "text"],
  type: [5, "text"],
};

const docsOf = (value: unknown): Doc => value as Doc;

class DocumentWriter extends GnosticWriter {
  readonly #schema: Write = (value) => this.message(docsOf(value), this.#schemaFields, 31);

  readonly #additional: Write = (value) => {
    if (typeof value === "object") this.part(1, () => this.#schema(value));
    else this.intField(2, value === true ? 1 : 0);
  };

  readonly #schemaFields: Message = {
    $ref: [1, "text"],
    format: [2, "text"],
    title: [3, "text"],
    description: [4, "text"],
    default: [5, "any"],
    multipleOf: [6, "double"],
    maximum: [7, "double"],
    exclusiveMaximum: [8, "flag"],
    minimum: [9, "double"],
    exclusiveMinimum: [10, "flag"],
    maxLength: [11, "count"],
    minLength: [12, "count"],
    pattern: [13, "text"],
    maxItems: [14, "count"],
    minItems: [15, "count"],
    uniqueItems: [16, "flag"],
    maxProperties: [17, "count"],
    minProperties: [18, "count"],
    required: [19, "texts"],
    enum: [20, "anys"],
    additionalProperties: [21, this.#additional],
    type: [22, (value) => this.textField(1, String(value))],
    items: [23, (value) => this.part(1, () => this.#schema(value))],
    properties: [25, (value) => this.named(1, docsOf(value), this.#schema)],
  };

  readonly #body: Message = {
    name: [2, "text"],
    in: [3, "text"],
    required: [4, "flag"],
    schema: [5, this.#schema],
  };

  readonly #response: Message = {
    description: [1, "text"],
    schema: [2, (value) => this.part(1, () => this.#schema(value))],
  };

  readonly #responses: Write = (value) =>
    this.named(1, docsOf(value), (each) =>
      this.part(1, () => this.message(each, this.#response, 5)),
    );

  readonly #operation: Message = {
    tags: [1, "texts"],
    description: [3, "text"],
    operationId: [5, "text"],
    produces: [6, "texts"],
    consumes: [7, "texts"],
    responses: [9, this.#responses],
    schemes: [10, "texts"],
  };

  #parameters(number: number, value: unknown): void {
    for (const each of [...((value ?? []) as Doc[])].reverse()) {
      this.part(number, () => this.part(1, () => this.#parameter(each)));
    }
  }

  #parameter(value: Doc): void {
    if (value["in"] === "body") this.part(1, () => this.message(value, this.#body, 6));
    else if (value["in"] === "path") {
      this.part(2, () => this.part(4, () => this.message(value, PATH, 22)));
    } else this.part(2, () => this.part(3, () => this.message(value, QUERY, 23)));
  }

  #pathItem(value: Doc): void {
    this.#parameters(9, value["parameters"]);
    for (const [method, number] of Object.entries(METHODS)) {
      const each = value[method];
      if (each === undefined) continue;
      this.part(number, () => {
        this.#parameters(8, docsOf(each)["parameters"]);
        this.message(docsOf(each), this.#operation, 13);
      });
    }
  }

  document(document: Doc): Uint8Array {
    const { definitions, paths, info, swagger } = document;
    this.part(9, () => this.named(1, docsOf(definitions), this.#schema));
    this.part(8, () => this.named(2, docsOf(paths), (item) => this.#pathItem(item)));
    this.part(2, () => this.message(docsOf(info), INFO, 7));
    this.textField(1, String(swagger));
    return this.finish();
  }
}

/** The bytes of a document that is version 2. */
export const gnosticOf = (document: Doc): Uint8Array => new DocumentWriter().document(document);
