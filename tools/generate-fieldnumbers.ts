/**
 * Makes `src/resources/protobuf.gen.json`: numbers, names and types of the fields of Kubernetes'
 * protobuf messages, from the tags of its Go structs. Unlike the .proto files they also tell which
 * zero values JSON shows, and which fields JSON spreads into their parent.
 *
 *   bun tools/generate-fieldnumbers.ts        needs `go`
 */
import { join } from "node:path";
import { type GoField, type GoPackage, goPackages } from "./gostructs.ts";

const OUT = join(import.meta.dir, "../src/resources/protobuf.gen.json");
const META = "io.k8s.apimachinery.pkg.apis.meta.v1";
const EXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1";

/** Stable API packages, as the schema table has them. */
const WANTED = [
  /^io\.k8s\.api\.\w+\.v\d+$/,
  new RegExp(`^${META}$`),
  new RegExp(`^${EXTENSIONS}$`),
  /^io\.k8s\.kube-aggregator\.pkg\.apis\.apiregistration\.v1$/,
];

/** Types with a form of their own on the wire or in JSON; see `protobuf/special.ts`. */
const SPECIAL: Record<string, string> = {
  [`${META}.Time`]: "t",
  [`${META}.MicroTime`]: "T",
  [`${META}.Duration`]: "D",
  [`${META}.FieldsV1`]: "r",
  [`${META}.Verbs`]: "I",
  "io.k8s.apimachinery.pkg.api.resource.Quantity": "q",
  "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "o",
  "io.k8s.apimachinery.pkg.runtime.RawExtension": "r",
  "io.k8s.apimachinery.pkg.types.UID": "s",
  "io.k8s.apimachinery.pkg.types.NodeName": "s",
  "io.k8s.api.authentication.v1.ExtraValue": "I",
  "io.k8s.api.authorization.v1.ExtraValue": "I",
  "io.k8s.api.certificates.v1.ExtraValue": "I",
  [`${EXTENSIONS}.JSON`]: "r",
  [`${EXTENSIONS}.JSONSchemaPropsOrArray`]: "A",
  [`${EXTENSIONS}.JSONSchemaPropsOrBool`]: "B",
  [`${EXTENSIONS}.JSONSchemaPropsOrStringArray`]: "S",
};

const BASIC: Record<string, string> = {
  string: "s",
  bool: "b",
  int: "i",
  int32: "i",
  int64: "i",
  uint32: "i",
  uint64: "i",
  float64: "d",
};

const packages = await goPackages();
/** Messages in the order in which they are met; a type is a place in it. */
const order: string[] = [];

function placeOf(name: string): string {
  if (!order.includes(name)) order.push(name);
  return String(order.indexOf(name));
}

interface Type {
  readonly code: string;
  /** `p` pointer, `[` list, `{` map. */
  readonly shape: string;
}

function typeOf(from: GoPackage, go: string): Type {
  if (go.startsWith("*")) return { code: typeOf(from, go.slice(1)).code, shape: "p" };
  if (go === "[]byte") return { code: "y", shape: "" };
  if (go.startsWith("[]")) return { code: typeOf(from, go.slice(2)).code, shape: "[" };
  const map = /^map\[[\w.]+\](.+)$/.exec(go);
  if (map !== null) return { code: typeOf(from, map[1] ?? "").code, shape: "{" };
  const basic = BASIC[go];
  if (basic !== undefined) return { code: basic, shape: "" };
  const [left = "", right] = go.split(".");
  const owner = right === undefined ? from : packages.get(from.imports.get(left) ?? "");
  const name = right ?? left;
  const full = `${owner?.name ?? left}.${name}`;
  const special = SPECIAL[full];
  if (special !== undefined) return { code: special, shape: "" };
  if (owner?.structs.has(name) === true) return { code: placeOf(full), shape: "" };
  const alias = owner?.aliases.get(name);
  if (owner === undefined || alias === undefined) throw new Error(`${from.name}: no type ${go}`);
  return typeOf(owner, alias);
}

/** `number,name,type,marks`; `k` shows its zero value in JSON, `^` is spread into its parent. */
function rowOf(from: GoPackage, field: GoField): string {
  const { code, shape } = typeOf(from, field.type);
  const shown = shape === "" && !field.omitEmpty && !field.omitZero ? "k" : "";
  return [field.number, field.json, code, shape + (field.json === "" ? "^" : shown)].join(",");
}

for (const { name, structs } of packages.values()) {
  if (!WANTED.some((pattern) => pattern.test(name))) continue;
  for (const [struct, fields] of structs) {
    const isMessage = fields.some((field) => field.number > 0);
    if (isMessage && SPECIAL[`${name}.${struct}`] === undefined) placeOf(`${name}.${struct}`);
  }
}
const messages: string[] = [];
for (let place = 0; place < order.length; place++) {
  const full = order[place] ?? "";
  const dot = full.lastIndexOf(".");
  const from = packages.get(full.slice(0, dot));
  const fields = from?.structs.get(full.slice(dot + 1));
  if (from === undefined || fields === undefined) throw new Error(`no struct ${full}`);
  messages.push(
    fields
      .filter(({ number }) => number > 0)
      .map((field) => rowOf(from, field))
      .join(" "),
  );
}
await Bun.write(OUT, `${JSON.stringify({ names: order, messages })}\n`);
console.log(`${order.length} messages`);
