/** From the suite's JUnit report to a table by group and the file of results. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Memory } from "./memory.ts";

export interface Outcome {
  name: string;
  state: "passed" | "failed" | "not run";
  /** First line of the failure. */
  cause?: string;
  seconds: number;
}

const ENTITIES: Record<string, string> = {
  "&lt;": "<",
  "&gt;": ">",
  "&amp;": "&",
  "&#34;": '"',
  "&quot;": '"',
  "&#39;": "'",
  "&#xA;": "\n",
  "&#x9;": "\t",
};
const plain = (text: string): string =>
  text.replace(/&(?:lt|gt|amp|quot|#34|#39|#xA|#x9);/g, (entity) => ENTITIES[entity] ?? entity);

/** Names in the report carry the kind of node and labels of the framework around them. */
function nameOf(raw: string): string {
  return plain(raw)
    .replace(/^\[It\] /, "")
    .replace(/(\[Conformance\]).*$/, "$1");
}

/** The first lines that say what went wrong. */
function causeOf(body: string): string {
  const [, message = "", text = ""] =
    /<(?:failure|error)[^>]*? message="([^"]*)"[^>]*>([^<]*)/.exec(body) ?? [];
  return plain(message || text)
    .replace(/^\[FAILED\] /, "")
    .split("\n")
    .slice(0, 3)
    .join(" ")
    .slice(0, 300);
}

export function readReport(folder: string): Outcome[] {
  const xml = readFileSync(join(folder, "junit_01.xml"), "utf8");
  const cases = xml.matchAll(
    /<testcase name="([^"]*)"[^>]*status="([^"]*)" time="([^"]*)">([\s\S]*?)<\/testcase>/g,
  );
  return [...cases]
    .filter(([, name = ""]) => name.startsWith("[It] "))
    .filter(([, , status]) => status !== "skipped" && status !== "pending")
    .map(([, name = "", status, time, body = ""]) => ({
      name: nameOf(name),
      state: status === "passed" ? "passed" : "failed",
      ...(status !== "passed" && { cause: causeOf(body) }),
      seconds: Number(time),
    }));
}

const groupOf = (name: string): string => /^\[sig-([a-z-]+)\]/.exec(name)?.[1] ?? "other";

export interface Results {
  passed: number;
  failed: number;
  notRun: number;
  seconds: number;
  /** What a run may not leave or log. */
  trouble: readonly string[];
  tests: Outcome[];
  table: string;
}

export function summarize(run: {
  names: readonly string[];
  outcomes: readonly Outcome[];
  seconds: number;
  trouble: readonly string[];
}): Results {
  const found = new Map(run.outcomes.map((outcome) => [outcome.name, outcome]));
  const tests = run.names.map(
    (name): Outcome => found.get(name) ?? { name, state: "not run", seconds: 0 },
  );
  const count = (list: readonly Outcome[], state: Outcome["state"]) =>
    list.filter((test) => test.state === state).length;
  const groups = [...new Set(tests.map((test) => groupOf(test.name)))].sort();
  const rows = groups.map((group) => {
    const own = tests.filter((test) => groupOf(test.name) === group);
    const numbers = (["passed", "failed", "not run"] as const).map((state) => count(own, state));
    return `${group.padEnd(20)} ${numbers.map((n) => String(n).padStart(7)).join(" ")}`;
  });
  const causes = tests
    .filter((test) => test.state === "failed")
    .map((test) => `FAILED ${test.name}\n       ${test.cause ?? ""}`);
  const head = `${"GROUP".padEnd(20)}  PASSED  FAILED NOT RUN`;
  const passed = count(tests, "passed");
  const failed = count(tests, "failed");
  const total = `${passed} of ${tests.length} passed in ${Math.round(run.seconds)} s`;
  return {
    passed,
    failed,
    notRun: count(tests, "not run"),
    seconds: Math.round(run.seconds),
    trouble: run.trouble,
    tests,
    table: [
      ...causes,
      ...run.trouble.map((line) => `TROUBLE ${line}`),
      "",
      head,
      ...rows,
      total,
    ].join("\n"),
  };
}

export async function writeResults(
  path: string,
  results: Omit<Results, "table"> & { table?: string; memory: Record<string, Memory> },
): Promise<void> {
  const { table: _table, ...kept } = results;
  const commit = Bun.spawnSync(["git", "rev-parse", "HEAD"]).stdout.toString().trim();
  const file = { commit, date: new Date().toISOString(), ...kept };
  await Bun.write(path, `${JSON.stringify(file, undefined, 1)}\n`);
}
