import { expect, test } from "bun:test";
import { fromBehindProxy, throughProxy } from "#api/subresources/proxypage.ts";

const way = {
  base: "/api/v1/namespaces/x/pods/web:80/proxy",
  hosts: ["10.0.0.5:80", "localhost:8001"],
};

test("addresses of the same place go through the proxy, others stay", () => {
  const { base } = way;
  const cases = [
    ["/", `${base}/`],
    ["/a/b?c=d#e", `${base}/a/b?c=d#e`],
    [`${base}/a`, `${base}/a`],
    ["a/b", "a/b"],
    ["#top", "#top"],
    ["", ""],
    ["mailto:a@b", "mailto:a@b"],
    ["http://10.0.0.5:80/a", `${base}/a`],
    ["http://10.0.0.5/a", `${base}/a`],
    ["http://localhost:8001/a?b", `${base}/a?b`],
    ["//localhost:8001/a", `${base}/a`],
    ["https://example.com/a", "https://example.com/a"],
  ];
  for (const [from = "", to = ""] of cases)
    expect([from, throughProxy(from, way)]).toEqual([from, to]);
});

test("links of pages are changed, all else of them is not", async () => {
  const html = '<!doctype html><p title="/x">/y <a class=b href="/rewriteme">test</a><img src=/i>';
  const page = (headers: Record<string, string>) =>
    fromBehindProxy(new Response(html, { headers }), way).text();
  expect(await page({ "content-type": "text/html; charset=utf-8" })).toBe(
    `<!doctype html><p title="/x">/y <a class=b href="${way.base}/rewriteme">test</a>` +
      `<img src="${way.base}/i">`,
  );
  expect(await page({ "content-type": "text/plain" })).toBe(html);
  expect(await page({ "content-type": "text/html", "content-encoding": "br" })).toBe(html);
});

test("redirects stay below the proxy's path", () => {
  const to = (location: string) =>
    fromBehindProxy(new Response(null, { status: 302, headers: { location } }), way).headers.get(
      "location",
    );
  expect(to("/next")).toBe(`${way.base}/next`);
  expect(to("next")).toBe("next");
});
