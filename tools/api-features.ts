/**
 * Writes `docs/api-features.md`: for each line of the API's promise the tests that show it, and how
 * they ended, as bun's JUnit reports say:
 *
 *   bun run features               runs all tests that a row names, then writes
 *   bun tools/api-features.ts REPORT.xml...
 *
 * They need what `test/run.sh` needs: root, containerd, kubectl, Go and Python. A row without a
 * test that ran says so.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { features } from "./api-features/rows.ts";

const ROOT = join(import.meta.dir, "..");
const OUT = join(ROOT, "docs/api-features.md");
const BUILD = join(ROOT, "test/suites/build");

/** Run one after the other, each with a report: those that have a cluster do not mix with others. */
const RUNS: Readonly<Record<string, readonly string[]>> = {
  api: ["test/unit", "test/component"],
  clients: ["test/suites"],
  kubectl: [
    ...["kubectl-api", "kubectl-verbs", "kubectl", "verbs", "clientnode", "attach"],
    ...["audit", "certificates", "encryption"],
  ].map((name) => `test/e2e/${name}.test.ts`),
};

interface Case {
  /** `test/component/api/lists.test.ts > pages > limit=-1 is refused`. */
  readonly title: string;
  readonly passed: boolean;
}

const ENTITIES: Record<string, string> = {
  "&apos;": "'",
  "&quot;": '"',
  "&lt;": "<",
  "&gt;": ">",
  "&amp;": "&",
};
const plain = (text: string): string =>
  text.replace(/&(apos|quot|lt|gt|amp);/g, (entity) => ENTITIES[entity] ?? entity);

/** The cases of a JUnit report of bun. */
function casesOf(xml: string): Case[] {
  const found: Case[] = [];
  for (const [whole, attributes = ""] of xml.matchAll(
    /<testcase ([^>]*?)(?:\/>|>[\s\S]*?<\/testcase>)/g,
  )) {
    const of = (name: string): string =>
      plain(new RegExp(`(?:^| )${name}="([^"]*)"`).exec(attributes)?.[1] ?? "");
    const title = [of("file"), of("classname"), of("name")].filter(Boolean).join(" > ");
    found.push({ title, passed: !/<(failure|error|skipped)/.test(whole) });
  }
  return found;
}

/** `12 tests pass`, or what failed. */
function stateOf(cases: readonly Case[]): string {
  const failed = cases.filter(({ passed }) => !passed);
  if (cases.length === 0) return "**no test ran**";
  if (failed.length === 0) return `${cases.length} pass`;
  return `**${failed.length} of ${cases.length} fail**`;
}

/** The report of one run. Tests that fail are in it. */
async function reportOf(name: string, paths: readonly string[]): Promise<string> {
  const report = join(BUILD, `${name}.xml`);
  const out = ["--reporter=junit", `--reporter-outfile=${report}`];
  const argv = ["bun", "test", "--timeout", "120000", ...out, ...paths.map((path) => `./${path}`)];
  await Bun.spawn(argv, { cwd: ROOT, stdio: ["ignore", "inherit", "inherit"] }).exited;
  return report;
}

const reports = process.argv.slice(2);
if (reports.length === 0) {
  await mkdir(BUILD, { recursive: true });
  for (const [name, paths] of Object.entries(RUNS)) reports.push(await reportOf(name, paths));
}
const texts = await Promise.all(reports.map((path) => Bun.file(path).text()));
const cases = texts.flatMap(casesOf);

const lines = [
  "# The Kubernetes v1.34 API: what is there, and which test says so",
  "",
  `Written by \`bun run features\` from ${cases.length} tests that ran; do not edit.`,
  "What is not there answers with the status that Kubernetes has for it, never with a success.",
];
for (const [part, rows] of features) {
  lines.push("", `## ${part}`, "", "| what | state | tests |", "|---|---|---|");
  for (const { what, tests, not } of rows) {
    const pattern = new RegExp(tests ?? "(?!)");
    const found = cases.filter(({ title }) => pattern.test(title));
    const files = [...new Set(found.map(({ title }) => title.split(" > ")[0] ?? ""))];
    const state = not === undefined ? stateOf(found) : `not there: ${not}`;
    const where = files.map((file) => `\`${file.replace(/^test\//, "")}\``).join(", ");
    lines.push(`| ${what} | ${state} | ${where} |`);
  }
}
await Bun.write(OUT, `${lines.join("\n")}\n`);
console.log(`${OUT}: ${cases.length} tests`);
