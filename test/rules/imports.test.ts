/** House rules 2 and 3: imports follow the arrows, plans are pure, and each plan has its test. */
import { expect, test } from "bun:test";
import { dirname, join } from "node:path";
import { codeOf, importsOf, type Source, sources } from "#test/support/sources.ts";
import pkg from "../../package.json";

const product = sources(["src", "agents"]);
const known = new Map(product.map((source) => [source.path, source]));
const testPaths = new Set(sources(["test"]).map((source) => source.path));

/** What each part may import beside itself. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  "src/base": [],
  "src/store": ["src/base"],
  "src/resources": ["src/base"],
  "src/api": ["src/base", "src/resources", "src/store"],
  "src/client": ["src/base", "src/resources"],
  "src/controllers": ["src/base", "src/resources", "src/client"],
  "src/scheduler": ["src/base", "src/resources", "src/client"],
  "src/cli": ["src/base", "src/resources", "src/client"],
  "src/web": ["src/base", "src/resources", "src/client"],
};
const AGENT_ARROWS = ["src/base", "src/resources", "src/client"];
/** What a node implements for the API: types only. */
const API_CONTRACTS = new Set(["src/api/nodes.ts"]);
/** Words that agents share: interfaces, label keys, errors. Nothing in them runs an agent. */
const AGENT_CONTRACTS = new Set(["agents/runtime/runtime.ts", "agents/network/packets.ts"]);

const aliases = Object.entries(pkg.imports).map(
  ([alias, target]) => [alias.replace("*", ""), target.replace("./", "").replace("*", "")] as const,
);

/** The project's file that an import means; undefined for packages and the runtime. */
function targetOf(from: string, importer: string): string | undefined {
  if (from.startsWith(".")) return join(dirname(importer), from);
  const alias = aliases.find(([prefix]) => from.startsWith(prefix));
  return alias && alias[1] + from.slice(alias[0].length);
}

/** `src/api`, `agents/kubelet`, or the file itself for `src/main.ts`. */
function partOf(path: string): string {
  return path.split("/").slice(0, 2).join("/");
}

const joinsParts = (part: string): boolean => part === "src/main.ts" || part === "src/main";

/** Why `importer` may not import `target`; undefined when it may. */
function crossing(importer: string, target: string, type: boolean): string | undefined {
  const from = partOf(importer);
  const to = partOf(target);
  if (from === to || joinsParts(from) || to === "package.json") return undefined;
  if (joinsParts(to)) return `only src/main.ts joins parts, ${from} may not import it`;
  if (from.startsWith("agents/")) {
    if (to.startsWith("agents/")) {
      const words = type || AGENT_CONTRACTS.has(target);
      return words ? undefined : "agents know one another by `import type` only";
    }
    if (type && API_CONTRACTS.has(target)) return undefined;
  }
  const allowed = from.startsWith("agents/") ? AGENT_ARROWS : ARROWS[from];
  if (allowed === undefined) return `${from} is no part that the arrows know`;
  return allowed.includes(to) ? undefined : `${from} may not import ${to}`;
}

test("there are files to check, and the aliases are known", () => {
  expect(product.length).toBeGreaterThan(50);
  expect(targetOf("#base/clock.ts", "src/api/x.ts")).toBe("src/base/clock.ts");
  expect(targetOf("./y.ts", "src/api/x.ts")).toBe("src/api/y.ts");
  expect(targetOf("hono", "src/api/x.ts")).toBeUndefined();
});

test("the check sees every way to import, and knows the arrows", () => {
  const lines = [
    'import type { A } from "#store/a.ts";',
    'import { b,\n  c } from "#base/b.ts";',
    'export * from "#api/d.ts";',
    'const e = await import("#cli/e.ts");',
    'import "side-effect";',
  ];
  const found = importsOf({ path: "x.ts", lines: lines.join("\n").split("\n") });
  expect(found.map(({ from }) => from)).toEqual([
    "#store/a.ts",
    "#base/b.ts",
    "#api/d.ts",
    "#cli/e.ts",
    "side-effect",
  ]);
  expect(found.map(({ line }) => line)).toEqual([1, 2, 4, 5, 6]);
  expect(found[0]?.type).toBe(true);
  expect(crossing("src/store/a.ts", "src/resources/b.ts", true)).toBeDefined();
  expect(crossing("agents/dns/a.ts", "agents/proxy/b.ts", false)).toBeDefined();
  expect(crossing("agents/dns/a.ts", "agents/proxy/b.ts", true)).toBeUndefined();
  expect(crossing("src/api/a.ts", "src/main.ts", true)).toBeDefined();
  expect(crossing("src/main.ts", "agents/dns/b.ts", false)).toBeUndefined();
});

test("imports follow the arrows, import type included", () => {
  const crossings = product.flatMap((source) =>
    importsOf(source).flatMap(({ line, from, type }) => {
      const target = targetOf(from, source.path);
      const reason = target && crossing(source.path, target, type);
      return reason ? [`${source.path}:${line}: ${reason} (${from})`] : [];
    }),
  );
  expect(crossings).toEqual([]);
});

test("contracts between agents run nothing of an agent's", () => {
  const heavy = product
    .filter(({ path }) => AGENT_CONTRACTS.has(path))
    .flatMap((source) =>
      importsOf(source)
        .filter(({ from, type }) => !type && !/^#(base|resources)\//.test(from))
        .map(({ line, from }) => `${source.path}:${line}: a contract does not import ${from}`),
    );
  expect(heavy).toEqual([]);
});

test("imports are written with the alias and the extension", () => {
  const crooked = product.flatMap((source) =>
    importsOf(source).flatMap(({ line, from }) => {
      const where = `${source.path}:${line}`;
      const target = targetOf(from, source.path);
      if (target === undefined || target === "package.json") return [];
      // The parts' joint has no alias: nobody else may import it.
      if (joinsParts(partOf(target))) return [];
      if (from.startsWith(".")) return [`${where}: write the alias instead of "${from}"`];
      return /\.(ts|json|html|css|js)$/.test(from) ? [] : [`${where}: "${from}" has no extension`];
    }),
  );
  expect(crooked).toEqual([]);
});

const isPlan = (path: string): boolean => /(^|\/)(plan|args)\.ts$/.test(path);
const plans = product.filter(({ path }) => isPlan(path));

/** Where a plan's own helpers are: its folder, and what all controllers share. */
function isHelper(target: string, plan: string): boolean {
  return dirname(target) === dirname(plan) || target.startsWith("src/controllers/common/");
}

/** A plan and the helpers that run in it. */
function closure(plan: Source): Source[] {
  const seen = new Map([[plan.path, plan]]);
  for (const source of seen.values()) {
    for (const { from, type } of importsOf(source)) {
      const target = targetOf(from, source.path);
      const helper = target === undefined ? undefined : known.get(target);
      if (!type && helper !== undefined && isHelper(helper.path, plan.path)) {
        seen.set(helper.path, helper);
      }
    }
  }
  return [...seen.values()];
}

/** Facts and arithmetic: no time, no chance, no input or output. */
const PURE_BASE = new Set(
  ["assert", "limits", "backoff", "cidr"].map((name) => `src/base/${name}.ts`),
);
/** Calculate only; they are given the time. */
const PURE_PACKAGES = new Set(["cron-parser"]);

function impureImports(source: Source, plan: string): string[] {
  return importsOf(source).flatMap(({ line, from, type }) => {
    const target = targetOf(from, source.path);
    const pure =
      type ||
      (target === undefined
        ? PURE_PACKAGES.has(from)
        : target.startsWith("src/resources/") ||
          PURE_BASE.has(target) ||
          isHelper(target, plan) ||
          typesOnly(source, line));
    return pure
      ? []
      : [
          `${source.path}:${line}: a plan imports #resources, #base/assert.ts and types, not ${from}`,
        ];
  });
}

/** `import { type A, type B } from` brings nothing that runs. */
function typesOnly(source: Source, line: number): boolean {
  const text = source.lines.slice(line - 1).join("\n");
  const names = /^import\s*\{([^}]*)\}/.exec(text)?.[1]?.split(",") ?? ["value"];
  return names.every((name) => name.trim() === "" || name.trim().startsWith("type "));
}

const IMPURE = /\bawait\b|\basync\b|\bMath\.random\b|\bDate\.now\b|\bnew Date\(\)|\bprocess\./;
const TIME = /\bDate\b/;

function impureLines(source: Source): string[] {
  return codeOf(source).flatMap((line, i) => {
    const word = IMPURE.exec(line)?.[0] ?? (isPlan(source.path) ? TIME.exec(line)?.[0] : undefined);
    return word === undefined ? [] : [`${source.path}:${i + 1}: a plan is pure: no ${word}`];
  });
}

test("plans are pure, and so is what they call", () => {
  const impure = plans.flatMap((plan) =>
    closure(plan).flatMap((source) => [
      ...impureLines(source),
      ...impureImports(source, plan.path),
    ]),
  );
  expect([...new Set(impure)]).toEqual([]);
});

test("the purity check sees what it bans", () => {
  const lines = ["const t = Date.now();", "// await", "const r = Math.random();"];
  const bad = impureLines({ path: "src/controllers/x/plan.ts", lines });
  expect(bad.length).toBe(2);
});

test("each plan and args has its mirror in test/unit", () => {
  const missing = plans
    .map(({ path }) => ({ path, mirror: path.replace(/^(src\/)?/, "test/unit/") }))
    .map(({ path, mirror }) => ({ path, mirror: mirror.replace(/\.ts$/, ".test.ts") }))
    .filter(({ mirror }) => !testPaths.has(mirror))
    .map(({ path, mirror }) => `${path}:1: its test ${mirror} is missing`);
  expect(missing).toEqual([]);
});

test("only agents/runtime speaks of nerdctl; src/main takes its flag", () => {
  const speakers = product
    .filter(({ path }) => !path.startsWith("agents/runtime/") && !joinsParts(partOf(path)))
    .flatMap((source) =>
      codeOf(source).flatMap((line, i) =>
        /nerdctl/i.test(line) ? [`${source.path}:${i + 1}: nerdctl is agents/runtime's alone`] : [],
      ),
    );
  expect(speakers).toEqual([]);
});

test("only src/base/programs.ts asks where a program is", () => {
  const askers = product
    .filter(({ path }) => path !== "src/base/programs.ts")
    .flatMap((source) =>
      codeOf(source).flatMap((line, i) =>
        /\bBun\.which\b/.test(line)
          ? [`${source.path}:${i + 1}: findProgram knows more folders`]
          : [],
      ),
    );
  expect(askers).toEqual([]);
});

function guessable(source: Source): string[] {
  return codeOf(source).flatMap((line, i) =>
    /\bMath\s*(\?\.|\.|\[)\s*["'`]?random\b|\brandom\b.*\}\s*=\s*Math\b/.test(line)
      ? [`${source.path}:${i + 1}: chance comes from #base/random.ts, which others cannot guess`]
      : [],
  );
}

test("nothing draws numbers that can be guessed", () => {
  expect(product.flatMap(guessable)).toEqual([]);
  const lines = ["Math.random()", 'Math["random"]()', "const { random } = Math;", "random.next()"];
  expect(guessable({ path: "src/x.ts", lines }).length).toBe(3);
});

test("only src/store speaks SQL", () => {
  const speakers = product
    .filter(({ path }) => !path.startsWith("src/store/"))
    .flatMap((source) =>
      importsOf(source)
        .filter(({ from }) => from === "bun:sqlite")
        .map(({ line }) => `${source.path}:${line}: SQL is src/store's alone`),
    );
  expect(speakers).toEqual([]);
});
