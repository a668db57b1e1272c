/**
 * Which form a client wants: the object itself, a Table, or its metadata alone; as JSON, YAML or
 * protobuf. Objects are kept as JSON, so that is what a client gets who takes several.
 */
import { refuse } from "#api/errors.ts";

export interface Form {
  readonly encoding: "json" | "yaml" | "protobuf";
  readonly as: "object" | "table" | "metadata";
}

const PLAIN: Form = { encoding: "json", as: "object" };

export const PROTOBUF = "application/vnd.kubernetes.protobuf";

const VIEWS: Record<string, Form["as"]> = {
  Table: "table",
  PartialObjectMetadata: "metadata",
  PartialObjectMetadataList: "metadata",
};

function one(type: string): Form | undefined {
  const [media = "", ...params] = type.split(";").map((part) => part.trim());
  const given: Record<string, string> = {};
  for (const param of params) {
    const [name = "", value = ""] = param.split("=");
    given[name.trim()] = value.trim();
  }
  const view = given["as"];
  let as: Form["as"] | undefined = "object";
  if (view !== undefined) {
    as = given["g"] === "meta.k8s.io" && given["v"] === "v1" ? VIEWS[view] : undefined;
  }
  if (as === undefined) return undefined;
  switch (media.toLowerCase()) {
    case "application/json":
    case "application/*":
    case "*/*":
      return as === "object" ? PLAIN : { encoding: "json", as };
    case "application/yaml":
      return { encoding: "yaml", as };
    case PROTOBUF:
      return as === "object" ? { encoding: "protobuf", as } : undefined;
    default:
      return undefined;
  }
}

const known = new Map<string, Form>();
const KNOWN_MAX = 256;

/**
 * The first form of an Accept header that we can make. @throws ApiError 406 where there is none.
 */
export function negotiate(accept: string | null): Form {
  if (accept === null || accept === "" || accept === "application/json") return PLAIN;
  const before = known.get(accept);
  if (before !== undefined) return before;
  const forms = accept.split(",").map(one);
  const form =
    forms.find((each) => each !== undefined && each.encoding !== "protobuf") ??
    forms.find((each) => each !== undefined);
  if (form === undefined)
    throw refuse.notAcceptable(["application/json", "application/yaml", PROTOBUF]);
  if (known.size < KNOWN_MAX) known.set(accept, form);
  return form;
}
