import { beforeEach, expect, test } from "bun:test";
import { recallingFetch } from "#agents/offline/recall.ts";
import type { Vault } from "#agents/offline/vault.ts";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import { fakeClock } from "#test/support/clock.ts";

const SECRET = "http://api/api/v1/namespaces/default/secrets/door";
const TOKEN = "http://api/api/v1/namespaces/default/serviceaccounts/default/token";
const kept = new Map<string, string>();
const vault: Vault = {
  read: (name) => kept.get(name),
  write: (name, text) => void kept.set(name, text),
  remove: (name) => void kept.delete(name),
};
const clock = fakeClock();
/** What the server does with the next request. */
let serve: () => Promise<Response>;
const fetch = recallingFetch({ fetch: () => serve(), vault, clock, log: silentLog });
const answers =
  (text: string, status = 200) =>
  async () =>
    new Response(text, { status });
const get = async (url = SECRET) => (await fetch(new Request(url))).text();
const post = (uid: string) => {
  const spec = { audiences: [], boundObjectRef: { uid } };
  return fetch(new Request(TOKEN, { method: "POST", body: JSON.stringify({ spec }) }));
};

beforeEach(() => kept.clear());

test("an object comes from the server, and from memory while that is away", async () => {
  serve = answers("one");
  expect(await get()).toBe("one");
  for (const away of [answers("busy", 503), () => Promise.reject(new Error("refused"))]) {
    serve = away;
    expect(await get()).toBe("one");
  }
  serve = answers("two");
  expect(await get()).toBe("two");
});

test("a server that keeps silent is waited for once, then only for a moment", async () => {
  serve = answers("one");
  await get();
  serve = () => new Promise(() => {});
  const first = get();
  await clock.advance(limits.recallMs);
  expect(await first).toBe("one");
  const second = get();
  await clock.advance(limits.recallAwayMs);
  expect(await second).toBe("one");
});

test("what was deleted is forgotten, and what was never known is an error", async () => {
  serve = answers("one");
  await get();
  serve = answers("", 404);
  expect((await fetch(new Request(SECRET))).status).toBe(404);
  serve = () => Promise.reject(new Error("refused"));
  expect(get()).rejects.toThrow("refused");
});

test("a token belongs to its pod, and lists and other kinds are not kept", async () => {
  serve = answers("token of a");
  await post("a");
  serve = () => Promise.reject(new Error("refused"));
  expect(await (await post("a")).text()).toBe("token of a");
  expect(post("b")).rejects.toThrow("refused");
  for (const path of ["secrets?watch=true", "pods/web", "secrets"]) {
    serve = answers("one");
    const url = `http://api/api/v1/namespaces/default/${path}`;
    await get(url);
    serve = () => Promise.reject(new Error("refused"));
    expect(get(url)).rejects.toThrow("refused");
  }
});
