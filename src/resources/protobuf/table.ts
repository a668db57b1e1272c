/** The messages of Kubernetes' kinds: field numbers, names and types, read on first use. */
import tableText from "#resources/protobuf.gen.json" with { type: "text" };

export interface Field {
  readonly number: number;
  /** In JSON; empty where the message's fields are spread into their parent. */
  readonly name: string;
  /** A letter for scalars and special types (see `special.ts`), or the number of a message. */
  readonly type: string;
  /** JSON shows it even when it is zero. */
  readonly showsZero: boolean;
  readonly pointer: boolean;
  readonly list: boolean;
  readonly map: boolean;
}

export interface Message {
  /** As OpenAPI names it: `io.k8s.api.core.v1.Pod`. */
  readonly name: string;
  readonly fields: ReadonlyMap<number, Field>;
  /** Highest number first: messages are written backwards. */
  readonly backwards: readonly Field[];
}

interface Table {
  readonly names: readonly string[];
  readonly messages: readonly string[];
}

let table: (Table & { readonly places: ReadonlyMap<string, number> }) | undefined;
const read: Array<Message | undefined> = [];

function load(): Table & { readonly places: ReadonlyMap<string, number> } {
  if (table === undefined) {
    const { names, messages } = JSON.parse(tableText as unknown as string) as Table;
    table = { names, messages, places: new Map(names.map((name, place) => [name, place])) };
  }
  return table;
}

function fieldOf(row: string): Field {
  const [number = "", name = "", type = "", marks = ""] = row.split(",");
  return {
    number: Number(number),
    name,
    type,
    showsZero: marks.includes("k"),
    pointer: marks.includes("p"),
    list: marks.includes("["),
    map: marks.includes("{"),
  };
}

export function messageAt(place: number): Message {
  const known = read[place];
  if (known !== undefined) return known;
  const { names, messages } = load();
  const rows = messages[place] ?? "";
  const fields = rows === "" ? [] : rows.split(" ").map(fieldOf);
  const message: Message = {
    name: names[place] ?? "",
    fields: new Map(fields.map((field) => [field.number, field])),
    backwards: [...fields].sort((a, b) => b.number - a.number),
  };
  read[place] = message;
  return message;
}

export function messageNamed(name: string): Message | undefined {
  const place = load().places.get(name);
  return place === undefined ? undefined : messageAt(place);
}

const META = "io.k8s.apimachinery.pkg.apis.meta.v1";
const PACKAGES: Readonly<Record<string, string>> = {
  "": "io.k8s.api.core",
  "apiextensions.k8s.io": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
  "apiregistration.k8s.io": "io.k8s.kube-aggregator.pkg.apis.apiregistration",
};
const OWN_GROUP = /^(?:[a-z]+\.(?:apiserver\.|authorization\.)?k8s\.io|[a-z]+)$/;

/** The message of a kind; options, Status and the like belong to every group. */
export function messageOf(apiVersion: string, kind: string): Message | undefined {
  const slash = apiVersion.indexOf("/");
  const group = slash < 0 ? "" : apiVersion.slice(0, slash);
  const version = apiVersion.slice(slash + 1);
  if (group !== "" && !OWN_GROUP.test(group)) return undefined;
  const path = PACKAGES[group] ?? `io.k8s.api.${group.split(".", 1)[0]}`;
  return messageNamed(`${path}.${version}.${kind}`) ?? messageNamed(`${META}.${kind}`);
}
