/** One request to a server, and its answer without what differs from run to run. */
import type { Target } from "#test/bench/server.ts";

/** A request of the corpus. Both servers get all of them, in order. */
export interface Step {
  /** Unique within its corpus. */
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  /** Content type of the body; JSON where it is left out. */
  readonly type?: string;
  readonly accept?: string;
  /** User to act as, in no group. */
  readonly as?: string;
  readonly groups?: readonly string[];
}

export interface Answer {
  readonly name: string;
  readonly code: number;
  readonly type: string;
  readonly warnings?: readonly string[];
  readonly body: unknown;
}

const ANSWER_MS_MAX = 90_000;
const DAY_MS = 86_400_000;

const isNow = (text: string): boolean => Math.abs(Date.parse(text) - Date.now()) < DAY_MS;

function textOf(text: string): string {
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text) && isNow(text)) {
    return text.includes(".") ? "<microtime>" : "<time>";
  }
  return text
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "<uid>")
    .replace(/StorageError: invalid object, .*AdditionalErrorMsg: /, "")
    .replace(/ in record \(\d+\)/, " in record (<rv>)")
    .replace(/kube-api-access-[a-z0-9]{5}/g, "kube-api-access-<x>")
    .replace(/\b10\.43\.\d+\.\d+\b/g, "<ip>")
    .replace(/\bfd43::[0-9a-f:]+/g, "<ip>")
    .replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "<time>")
    .replace(/\b(gen-)[a-z0-9]{5}\b/g, "$1<x>")
    .replace(/\b\d+(\.\d+)?(ms|µs)\b/g, "<duration>");
}

/** Cells that tell an age. */
const cellOf = (cell: unknown): unknown =>
  typeof cell === "string" && /^(\d+[smhdy])+$/.test(cell) ? "<age>" : normal(cell);

const managerOf = (entry: unknown): string => {
  const { manager, operation, subresource, apiVersion } = entry as Record<string, unknown>;
  return [manager, operation, subresource, apiVersion].join(" ");
};

const nameOf = (entry: unknown): string => JSON.stringify(entry);

const byName = (a: unknown, b: unknown): number => (nameOf(a) < nameOf(b) ? -1 : 1);

/** They are in the order of their times, which are whole seconds. */
const byManager = (a: unknown, b: unknown): number => (managerOf(a) < managerOf(b) ? -1 : 1);

/** Items of a list say what they are, or leave it to the list. */
function untyped(item: unknown): unknown {
  if (typeof item !== "object" || item === null) return normal(item);
  const { apiVersion: _, kind: _kind, ...rest } = item as Record<string, unknown>;
  return normal(rest);
}

function entryOf(key: string, value: unknown): unknown {
  if (key === "resourceVersion" && typeof value === "string" && /^[1-9]\d*$/.test(value)) {
    return "<rv>";
  }
  if (key === "continue" && typeof value === "string" && value.length > 20) return "<token>";
  if (key === "fieldsV1") return value;
  if (key === "storageVersionHash" || key === "serverAddress") return "";
  if (["resources", "groups", "subresources"].includes(key) && Array.isArray(value)) {
    return value.map(normal).sort(byName);
  }
  if (key === "managedFields" && Array.isArray(value)) return value.map(normal).sort(byManager);
  if (key === "items" && Array.isArray(value)) return value.map(untyped);
  if (key === "columnDefinitions" && Array.isArray(value)) {
    // Descriptions are everybody's own.
    return value.map(({ description: _, ...column }) => normal(column));
  }
  if (key === "cells" && Array.isArray(value)) return value.map(cellOf);
  if (key === "nodePort" || key === "healthCheckNodePort") {
    return typeof value === "number" && value >= 30_000 ? "<port>" : value;
  }
  return normal(value);
}

/** As a typed client sees it: what its type says anyway is left out. */
function isNothing(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (typeof value !== "object") return value === "" || value === 0 || value === false;
  return value === null || Object.keys(value).length === 0;
}

export function normal(value: unknown): unknown {
  if (typeof value === "string") return textOf(value);
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, inner]) => [key, entryOf(key, inner)] as const)
      .filter(([, inner]) => !isNothing(inner))
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function bodyOf(text: string, type: string): unknown {
  if (!type.startsWith("application/json")) return normal(text);
  // A watch answers a line an event.
  const lines = text.trim().split("\n");
  try {
    return lines.length > 1
      ? lines.map((line) => normal(JSON.parse(line)))
      : normal(JSON.parse(text));
  } catch {
    return normal(text);
  }
}

function headersOf(step: Step, token: string): Headers {
  const headers = new Headers({ authorization: `Bearer ${token}`, "user-agent": "corpus" });
  if (step.body !== undefined) headers.set("content-type", step.type ?? "application/json");
  headers.set("accept", step.accept ?? "application/json");
  if (step.as !== undefined) headers.set("impersonate-user", step.as);
  for (const group of step.groups ?? []) headers.append("impersonate-group", group);
  return headers;
}

export async function ask(target: Target, step: Step): Promise<Answer> {
  const { body } = step;
  const response = await fetch(target.url + step.path, {
    method: step.method,
    headers: headersOf(step, target.token),
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    tls: { rejectUnauthorized: false },
    redirect: "manual",
    signal: AbortSignal.timeout(ANSWER_MS_MAX),
  });
  const text = await response.text();
  const type = (response.headers.get("content-type") ?? "").replaceAll(" ", "");
  const warnings = response.headers.get("warning");
  return {
    name: step.name,
    code: response.status,
    type,
    ...(warnings !== null && { warnings: [textOf(warnings)] }),
    body: bodyOf(text, type),
  };
}

/** Watches of a second each, which change nothing: asked all at once. */
const waits = ({ path }: Step): boolean => path.includes("timeoutSeconds=1");

/** All answers, in order; a step that gets none is missing. */
export async function askAll(target: Target, steps: readonly Step[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let at = 0; at < steps.length; ) {
    let end = at + 1;
    const first = steps[at];
    if (first !== undefined && waits(first)) {
      for (let next = steps[end]; next !== undefined && waits(next); next = steps[end]) end += 1;
    }
    const some = steps.slice(at, end);
    const found = await Promise.all(
      some.map((step) =>
        ask(target, step).catch((error: unknown) => {
          console.error(`${step.name}: ${error}`);
        }),
      ),
    );
    answers.push(...found.filter((answer) => answer !== undefined));
    at = end;
  }
  return answers;
}
