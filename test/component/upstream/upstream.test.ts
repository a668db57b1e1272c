/**
 * Everything in the corpus, asked of this API: the answers must be those that Kubernetes' own API
 * server gave (`record.ts`), but for the exceptions, each with its reason.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ADMIN_TOKEN } from "#test/support/api.ts";
import { startServer, type TestServer } from "#test/support/server.ts";
import { type Answer, askAll } from "./ask.ts";
import { answerDifferences } from "./compare.ts";
import { corpus } from "./corpus.ts";
import { exceptions } from "./exceptions.ts";
import { readGolden } from "./golden.ts";

const golden = await readGolden();

let server: TestServer;
let ours: Map<string, Answer>;
beforeAll(async () => {
  server = await startServer({ settings: { serviceCidrs: ["10.43.0.0/16"] } });
  const answers = await askAll({ url: server.url, token: ADMIN_TOKEN }, corpus);
  ours = new Map(answers.map((answer) => [answer.name, answer]));
}, 180_000);
afterAll(() => server?.stop());

/** Steps of one kind, or of one part of the corpus. */
const groups = Map.groupBy(corpus, ({ name }) => name.slice(0, name.indexOf(": ")));

describe("this API answers as Kubernetes' own does", () => {
  for (const [title, steps] of groups) {
    test(title, () => {
      const wrong = steps.flatMap(({ name }) => {
        const theirs = golden.get(name);
        if (theirs === undefined) return [];
        const answer = ours.get(name);
        if (answer === undefined) return [`${name}: no answer`];
        return answerDifferences(theirs, answer).map((line) => `${name} ${line}`);
      });
      expect(wrong).toEqual([]);
    });
  }
});

test("every exception is about something", () => {
  const idle = exceptions.filter(({ step }) => !corpus.some(({ name }) => step.test(name)));
  expect(idle).toEqual([]);
});

test("nearly everything that was asked has a recorded answer", () => {
  const missing = corpus.filter(({ name }) => !golden.has(name)).map(({ name }) => name);
  expect(missing.length).toBeLessThan(10);
});
