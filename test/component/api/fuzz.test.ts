/** Bodies that nobody would write: each gets an answer, and none of them is the server's fault. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { apiVersionOf, type Kind } from "#resources/kind.ts";
import { kinds } from "#resources/kinds.ts";
import type { ApiObject } from "#resources/meta.ts";
import { startApi, type TestApi } from "#test/support/api.ts";
import minimalText from "#test/support/suites/minimal.yaml" with { type: "text" };

/** Of each kind and way; `bun run test:fuzz` asks for more. */
const RUNS = Number(process.env["FUZZ_RUNS"] ?? "6");
const SEED = Number(process.env["FUZZ_SEED"] ?? "") || Math.floor(Math.random() * 2 ** 31);

const objects = Bun.YAML.parse(minimalText as unknown as string) as ApiObject[];

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
  await api.create("/api/v1/namespaces", { metadata: { name: "x" } });
  await api.create("/api/v1/namespaces/x/serviceaccounts", { metadata: { name: "default" } });
  for (const object of objects) {
    // These would be asked about everything that follows.
    if (object.apiVersion?.startsWith("admissionregistration")) continue;
    await api.call("POST", pathOf(object).all, object);
  }
});
afterAll(() => api.close());

function pathOf({ apiVersion, kind }: ApiObject): { all: string; name: string } {
  const found = kinds.find((one) => apiVersionOf(one) === apiVersion && one.kind === kind) as Kind;
  const root = found.group === "" ? "/api/v1" : `/apis/${apiVersion}`;
  return {
    all: `${root}${found.namespaced ? "/namespaces/x" : ""}/${found.plural}`,
    name: `${kind}`,
  };
}

/** Every place of an object. */
function places(value: unknown, at: Array<string | number> = []): Array<Array<string | number>> {
  if (typeof value !== "object" || value === null) return [at];
  const inner = Object.entries(value).flatMap(([key, child]) =>
    places(child, [...at, Array.isArray(value) ? Number(key) : key]),
  );
  return [at, ...inner];
}

type Holder = Record<string | number, unknown>;

/** A copy with something else at one place. */
function spoiled(object: unknown, at: Array<string | number>, value: unknown): unknown {
  if (at.length === 0) return value;
  const copy = structuredClone(object);
  let holder = copy as Holder;
  for (const key of at.slice(0, -1)) holder = holder[key] as Holder;
  holder[at[at.length - 1] as string] = value;
  return copy;
}

const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom("", null, -1, 0, 1.5, 2 ** 53, 1e300, [], {}, [null], [[]], "x".repeat(300)),
  fc.constantFrom("\u0000", "\ud800", "__proto__", "constructor", "1e9", "99999999999999999999"),
  fc.constantFrom(...[{ __proto__: 1 }, { "": "" }, [{}], [{ name: null }], "$(A)", "{{", "%"]),
);

const METHODS: ReadonlyArray<readonly [string, string]> = [
  ["POST", "application/json"],
  ["PUT", "application/json"],
  ["PATCH", "application/merge-patch+json"],
  ["PATCH", "application/strategic-merge-patch+json"],
  ["PATCH", "application/apply-patch+yaml"],
];

/** Kubernetes answers 500 to an apply whose fields no schema has. */
const isKnown = (text: string): boolean => text.includes("failed to create typed patch object");

describe(`odd bodies (seed ${SEED})`, () => {
  for (const object of objects) {
    const { all, name } = pathOf(object);
    test(`${object.apiVersion} ${name}`, async () => {
      const where = fc.constantFrom(...places(object));
      await fc.assert(
        fc.asyncProperty(where, odd, fc.constantFrom(...METHODS), async (at, value, way) => {
          const [method, type] = way;
          const body = JSON.stringify(spoiled(object, at, value) ?? null);
          const path = method === "POST" ? all : `${all}/${object.metadata?.name}`;
          const query = "dryRun=All&fieldManager=odd";
          const answer = await api.call(method, `${path}?${query}`, body, {
            headers: { "content-type": type },
          });
          if (answer.code < 500 || isKnown(answer.text)) return;
          throw new Error(`${method} ${path} ${type} ${body}: ${answer.text}`);
        }),
        { numRuns: RUNS * METHODS.length, seed: SEED },
      );
      expect((await api.call("GET", "/readyz")).code).toBe(200);
    }, 360_000);
  }
});

describe(`odd patches (seed ${SEED})`, () => {
  test("of a config map by JSON patch", async () => {
    const all = "/api/v1/namespaces/x/configmaps";
    await api.create(all, { metadata: { name: "patched" }, data: { a: "b" } } as ApiObject);
    const pointer = fc.oneof(
      fc.constantFrom("", "/", "/data/a", "/data/~1", "/metadata/labels/a", "/data/-", "/~2"),
      fc.string({ maxLength: 12 }),
    );
    const operation = fc.record(
      {
        op: fc.constantFrom("add", "remove", "replace", "move", "copy", "test", "x"),
        path: pointer,
        from: pointer,
        value: odd,
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 4 }), async (operations) => {
        const answer = await api.call("PATCH", `${all}/patched?dryRun=All`, operations, {
          headers: { "content-type": "application/json-patch+json" },
        });
        if (answer.code < 500) return;
        throw new Error(`${JSON.stringify(operations)}: ${answer.text}`);
      }),
      { numRuns: RUNS * 50, seed: SEED },
    );
  }, 360_000);

  test("of text that is no JSON, YAML or protobuf", async () => {
    const types = [
      ...METHODS.map(([, type]) => type),
      "application/yaml",
      "application/vnd.kubernetes.protobuf",
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.string({ maxLength: 60 }),
        fc.boolean(),
        fc.constantFrom(...types),
        async (text, marked, type) => {
          const method = type.includes("patch") ? "PATCH" : "POST";
          const path = `/api/v1/namespaces/x/configmaps${method === "PATCH" ? "/patched" : ""}`;
          const body = (marked ? "k8s\u0000" : "") + text;
          const headers = { "content-type": type };
          const answer = await api.call(method, `${path}?fieldManager=odd`, body, { headers });
          if (answer.code < 500 || isKnown(answer.text)) return;
          throw new Error(`${type} ${JSON.stringify(body)}: ${answer.text}`);
        },
      ),
      { numRuns: RUNS * 80, seed: SEED },
    );
  }, 360_000);
});
