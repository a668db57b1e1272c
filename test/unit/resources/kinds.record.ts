/**
 * Records what Kubernetes makes of objects with one value changed, one case for each of its words:
 *
 *   ORACLE=/path/to/oracle bun test/unit/resources/kinds.record.ts
 *
 * The program is `kinds.oracle.go`, built in a module that requires k8s.io/kubernetes (that of
 * `test/conformance` will do).
 */

import type { ApiObject } from "#resources/meta.ts";
import { definitions, resolve, type Schema } from "#resources/schema.ts";
import {
  bare,
  type Case,
  changed,
  type Golden,
  kindOf,
  objects,
  type Path,
  type Recording,
} from "./kinds.cases.ts";

interface Answer {
  error?: string;
  object?: ApiObject;
  causes: string[];
  head?: string[];
  row?: unknown[];
}

interface Question {
  object: ApiObject;
  old?: ApiObject;
  subresource?: string;
  table?: boolean;
}

function ask(questions: readonly Question[]): Answer[] {
  if (questions.length === 0) return [];
  const input = questions.map((question) => `${JSON.stringify(question)}\n`).join("");
  const program = process.env["ORACLE"] ?? "oracle";
  const done = Bun.spawnSync([program], { stdin: Buffer.from(input), maxBuffer: 2 ** 30 });
  const answers = done.stdout.toString().trimEnd().split("\n");
  if (answers.length !== questions.length) throw new Error(done.stderr.toString());
  return answers.map((line) => JSON.parse(line));
}

const TEXTS = [
  "",
  "A_b",
  "a",
  "a/b",
  "10.0.0.5",
  "x".repeat(64),
  "example.com/Foo",
  " 1",
  "/a/../b",
  ...["Always", "Never", "TCP", "None", "Exists", "Retain", "Local", "ClientIP", "RollingUpdate"],
  ...["Recreate", "OnDelete", "Indexed", "Block", "LoadBalancer", "NodePort", "ExternalName"],
];
const KEYS = ["a", "A b", "example.com/x", "kubernetes.io/x", "cpu", "storage", "pods"];
const NUMBERS = [-1, 0, 1, 1001, 70_000];
const AMOUNTS = [-1, 0, 70_000, "50%", "x%", "150%", "A_b", ""];
const QUANTITIES = ["0", "1", "-1", "1.5"];
/** Fields of metadata are the API's, Windows is nobody's here, and a schema holds itself. */
const LEFT_OUT = new Set(["metadata", "apiVersion", "kind", "windowsOptions", "not", "allOf"]);

function values(schema: Schema, ref: string): unknown[] {
  if (ref.endsWith("Quantity")) return QUANTITIES;
  if (ref.endsWith("Time")) return ["2024-01-01T00:00:00Z"];
  if (ref.endsWith("IntOrString")) return AMOUNTS;
  if (schema.type === "integer" || schema.type === "number") return NUMBERS;
  if (schema.type === "boolean") return [true, false];
  return schema.type === "string" ? TEXTS : [];
}

/** Every place of an object, and `depth` levels of what could be there, with values to put. */
function* leaves(
  value: unknown,
  node: Schema,
  at: Path,
  depth: number,
): Generator<[Path, unknown]> {
  const schema = resolve(node);
  const found = values(schema, node.$ref ?? "");
  for (const one of found) yield [at, one];
  if (at.length > 0 && value !== undefined) yield [at, undefined];
  if (found.length > 0 || depth < 0) return;
  const inner = value as Record<string, unknown> | undefined;
  const more = value === undefined ? depth - 1 : depth;
  if (schema.properties) {
    if (value === undefined) yield [at, {}];
    for (const [name, child] of Object.entries(schema.properties)) {
      if (!LEFT_OUT.has(name)) yield* leaves(inner?.[name], child, [...at, name], more);
    }
  } else if (schema.items) {
    const list = (value as unknown[] | undefined) ?? [];
    yield [at, []];
    if (list.length > 0) yield [[...at, list.length], list[0]];
    for (let i = 0; i < Math.max(list.length, 1); i++) {
      yield* leaves(list[i], schema.items, [...at, i], more);
    }
  } else if (typeof schema.additionalProperties === "object") {
    for (const key of KEYS) {
      yield* leaves(undefined, schema.additionalProperties, [...at, key], -1);
    }
  }
}

/** Where Kubernetes is not followed to the letter, and why. */
const NOT_FOLLOWED = [
  // Expressions are compiled by the API.
  /compilation failed|must evaluate to/,
  // Upstream confuses the two names of a service when it calls its own function.
  /[cC]lientConfig\.service\.(name|namespace): Required/,
  // It puts whole objects into errors by the names of its internal types.
  /.{900}|"Name":"v1"|"OpenAPIV3Schema"|"OnExitCodes"|"NodeSelectorTerms"|"[sS]pec":\{/,
  /(spec|Policy|parentRef|nodeAffinity|rollingUpdate): Invalid value: \{/,
  // An empty one is told from none by Go, and here as none.
  /(spec\.cidrs|nodeTopology): Invalid value: (null|\{\})/,
  // What a claim has been given is the scheduler's and the driver's word.
  /^status\.(devices|allocation|reservedFor)/,
  // The words of Go's parser of networks.
  /Internal error/,
  // A persistent volume's names of iSCSI are not said to start with anything.
  /initiatorname|\.iqn/,
  // Rules of a job's status against its spec are kept by its controller.
  /^status\.(conditions|active|terminating|completedIndexes|failedIndexes|succeeded|failed|ready)/,
  /^status\.(completionTime|startTime|uncountedTerminatedPods|allocatedResource|resourceClaim)/,
  /^status\.(podIPs|hostIPs|observedGeneration|availableReplicas|currentReplicas)/,
  // Defaults of one other field come first where a part is missing as a whole.
  /job-name|controller-uid|auto-generated/,
];

const TEMPLATES = /(^|\.)template\.spec\./;

/** Without the values, to tell one word from another; rules of names are told without the field. */
function wording(cause: string): string {
  const text = cause
    .replace(/"(\\.|[^"\\])*"/g, "…")
    .replace(/\[[^\]]*\]/g, "[]")
    .replace(/-?\d+/g, "0");
  return text.includes("regex used") ? text.slice(text.indexOf(": ")) : text;
}

const firstLines = (causes: readonly string[]): string[] =>
  [...new Set(causes.map((cause) => cause.split("\n")[0] ?? ""))].sort();

/** What is there before an update: as it was created, with the status of the case's object. */
function before(on: string): ApiObject {
  const object = objects.get(on) as ApiObject & { status?: object };
  const [made] = ask([{ object }]);
  const old = (made?.object ?? object) as ApiObject & { status?: object };
  if (object.status) old.status = { ...old.status, ...object.status };
  old.metadata = { ...old.metadata, resourceVersion: "1" };
  return old;
}

function question(one: Case, old: ApiObject | undefined): Question {
  const base = old ?? (objects.get(one.on) as ApiObject);
  const object = changed(base, one);
  if (one.way === "print") return { object, table: true };
  if (old === undefined) return { object };
  return { object, old, ...(one.way === "status" && { subresource: "status" }) };
}

const seen = new Set<string>();
const printed = new Map<string, number>();
const PRINTED_MAX = 2;

/** Recorded if it says something new. */
function record(one: Case, answer: Answer, base: readonly unknown[]): Golden | undefined {
  if (answer.error !== undefined) return;
  const kind = one.on.split(" ")[1];
  if (one.way === "print") {
    const { row = [] } = answer;
    // Go's own word for nothing got out there.
    if (JSON.stringify(row).includes("<nil>")) return;
    // A few values tell how a field is printed.
    const key = `${one.on} ${one.at?.join(".")}`;
    const times = printed.get(key) ?? 0;
    if (Bun.deepEquals(row, base) || times >= PRINTED_MAX) return;
    printed.set(key, times + 1);
    return { ...one, row };
  }
  const causes = firstLines(answer.causes);
  if (causes.length === 0 || causes.some((cause) => NOT_FOLLOWED.some((it) => it.test(cause)))) {
    return;
  }
  if (causes.some((cause) => TEMPLATES.test(cause))) return;
  const news = causes.map((cause) => `${kind} ${wording(cause)}`);
  if (news.every((word) => seen.has(word))) return;
  for (const word of news) seen.add(word);
  return { ...one, causes };
}

const PRINTED = /^(status|spec\.(type|ports|externalIPs|replicas|schedule|suspend|completions))/;

function casesOf(on: string, way: Case["way"], object: ApiObject): Case[] {
  const schema = definitions()[kindOf(object).schema as string] ?? {};
  const cases: Case[] = [];
  for (const [at, value] of leaves(object, schema, [], 1)) {
    const path = at.join(".");
    const ofStatus = path.startsWith("status");
    if (way === "print" ? !PRINTED.test(path) : ofStatus !== (way === "status")) continue;
    cases.push({ on, way, at, value });
  }
  return cases;
}

/** Times that only say when this ran. */
function withoutNow(stored: unknown): unknown {
  const text = JSON.stringify(stored, (key, value) =>
    key === "creationTimestamp" || (key.endsWith("TransitionTime") && value > "2024-02")
      ? ""
      : value,
  );
  return JSON.parse(text);
}

const recording: Recording = { recordedAt: new Date().toISOString() };
const golden: Golden[] = [];
for (const [on, object] of objects) {
  if (kindOf(object).storedAs) continue;
  const [made, table] = ask([{ object }, { object, table: true }]);
  const { generation: _, ...metadata } = made?.object?.metadata ?? {};
  golden.push({ on, way: "create", stored: bare(withoutNow({ ...made?.object, metadata })) });
  const columns = table?.row === undefined ? undefined : table.head;
  if (columns && columns.length === table?.row?.length) {
    golden.push({ on, way: "print", head: columns });
  }
  for (const way of ["create", "update", "status", "print"] as const) {
    if (way === "print" && !columns) continue;
    const old = way === "update" || way === "status" ? before(on) : undefined;
    const cases = casesOf(on, way, old ?? object);
    const answers = ask(cases.map((one) => question(one, old)));
    for (const [index, one] of cases.entries()) {
      const answer = answers[index];
      const line = answer && record(one, answer, table?.row ?? []);
      if (line) golden.push(line);
    }
  }
}
const out = new URL("./kinds.golden.jsonl", import.meta.url);
const written = [recording, ...golden].map((line) => `${JSON.stringify(line)}\n`);
await Bun.write(out, written.join(""));
console.log(`${golden.length} cases`);
