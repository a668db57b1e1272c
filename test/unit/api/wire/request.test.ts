import { describe, expect, test } from "bun:test";
import { wholeBodyOf, wholeResponse } from "#api/whole.ts";
import { originOf, urlOf, WireRequest } from "#api/wire/request.ts";
import { HeadError } from "#base/httphead.ts";

const ORIGIN = "https://bramble:6443";
const bodyOf = (bytes: Buffer) => ({
  read: async () => bytes,
  whenRead: Promise.resolve(bytes),
});
const request = (method: string, body?: string): WireRequest =>
  new WireRequest({
    method,
    url: `${ORIGIN}/api/v1/pods`,
    headers: new Headers({ "content-type": "application/json", "x-more": "yes" }),
    body: body === undefined ? undefined : bodyOf(Buffer.from(body)),
  });

describe("a request off the wire", () => {
  test.each([
    "/api/v1/pods?labelSelector=a%3Db&limit=5",
    "/api/v1/namespaces/../../healthz",
    "/a/./b",
    "/a/%2e%2E/b",
    "/a\\..\\b",
    "/a?x='\"<>{}|^`",
    "/a//b/",
    "/a?x=1#part",
    "/apis/example.com/v1;a=b/c,d:e@f!g$h(i)*j+k~l[1]",
  ])("has the URL that a Request has: %s", (target) => {
    const { url } = new Request(ORIGIN + target);
    expect(urlOf(ORIGIN, target)).toBe(url.split("#")[0] ?? "");
  });

  test("has the host in the form of a URL", () => {
    expect(originOf("https", "Bramble:443")).toBe("https://bramble");
    expect(originOf("http", "")).toBe("http://localhost");
    expect(() => originOf("https", "[::")).toThrow(HeadError);
  });

  test("gives its body as text, bytes, JSON, stream and copy", async () => {
    const text = '{"a":"ä"}';
    expect(await request("POST", text).text()).toBe(text);
    expect(await request("POST", `\ufeff${text}`).json()).toEqual({ a: "ä" });
    expect(Buffer.from(await request("PUT", text).arrayBuffer()).toString()).toBe(text);
    expect(await new Response(request("POST", text).body).text()).toBe(text);
    const copy = request("PATCH", text).clone();
    expect([copy.method, copy.headers.get("x-more"), await copy.text()]).toEqual([
      "PATCH",
      "yes",
      text,
    ]);
  });

  test("has no body with GET, as a Request has none", async () => {
    expect(request("GET", "x").body).toBeNull();
    expect(await request("GET", "x").text()).toBe("");
    expect(request("DELETE").body).toBeNull();
  });

  test("tells those who ask, before or after, that the client is gone", () => {
    const early = request("GET");
    const { signal } = early;
    expect(signal.aborted).toBe(false);
    early.clientGone();
    expect(signal.aborted).toBe(true);
    const late = request("GET");
    late.clientGone();
    expect(late.signal.aborted).toBe(true);
  });
});

describe("an answer whose body is at hand", () => {
  test("does what a Response does", async () => {
    const init = { status: 201, headers: { "content-type": "application/json" } };
    const answer = (): Response => wholeResponse('{"a":1}', init);
    expect(answer().ok).toBe(true);
    expect(wholeResponse("", { status: 404 }).ok).toBe(false);
    expect(await answer().json()).toEqual({ a: 1 });
    expect(await new Response(answer().body).text()).toBe('{"a":1}');
    expect(await answer().clone().text()).toBe('{"a":1}');
    expect(await wholeResponse(Buffer.from("ä")).text()).toBe("ä");
    expect(wholeBodyOf(answer())).toBe('{"a":1}');
  });

  test("keeps what is set on its headers from others with the same ones", () => {
    const init = { headers: { "content-type": "application/json" } };
    const first = wholeResponse("", init);
    first.headers.set("warning", "299");
    expect(wholeResponse("", init).headers.has("warning")).toBe(false);
    expect(first.headers.get("warning")).toBe("299");
  });
});
