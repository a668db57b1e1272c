import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { match, pathOf } from "#agents/ingress/match.ts";
import { covers, type Table } from "#agents/ingress/plan.ts";
import { isOwnedIngress } from "#resources/ownedingress.ts";
import {
  ingress,
  ingressClass,
  pathCases,
  rule,
  service,
  slice,
  tableOf,
  to,
} from "#test/support/ingress.ts";
import { tries } from "#test/support/property.ts";

/** Name of the Service that a request goes to. */
function served(table: Table, host: string, target: string): string | undefined {
  const found = match(table, host, pathOf(target));
  return found?.backend?.name.replace(/^default\//, "").replace(/:.*/, "");
}

describe("upstream's conformance: default backend", () => {
  const table = tableOf([ingress("d", { defaultBackend: to("echo-service") })]);
  test.each([
    ["my-host", "/"],
    ["my-host", "/sub-path"],
    ["some-host", "/"],
    ["", "/resource"],
    ["some-host", "/resource"],
  ])("%s %s", (host, path) => {
    expect(served(table, host, path)).toBe("echo-service");
  });
});

describe("upstream's conformance: host rules", () => {
  const table = tableOf([
    ingress("h", {
      tls: [{ hosts: ["foo.bar.com"], secretName: "conformance-tls" }],
      rules: [
        rule("*.foo.com", { "prefix /": "wildcard-foo-com" }),
        rule("foo.bar.com", { "prefix /": "foo-bar-com" }),
      ],
    }),
  ]);
  test.each([
    ["foo.bar.com", "foo-bar-com"],
    ["subdomain.bar.com", undefined],
    ["bar.foo.com", "wildcard-foo-com"],
    ["baz.bar.foo.com", undefined],
    ["foo.com", undefined],
  ])("%s", (host, expected) => {
    expect(served(table, host, "/")).toBe(expected);
  });
  test("the certificate is named for its host only", () => {
    expect([...table.certificates]).toEqual([["foo.bar.com", "default/conformance-tls"]]);
  });
});

describe("upstream's conformance: path rules", () => {
  const table = tableOf([
    ingress("p", {
      rules: [
        rule("exact-path-rules", { "exact /foo": "foo-exact" }),
        rule("prefix-path-rules", {
          "prefix /foo": "foo-prefix",
          "prefix /aaa/bbb": "aaa-slash-bbb-prefix",
          "prefix /aaa": "aaa-prefix",
        }),
        rule("mixed-path-rules", { "prefix /foo": "foo-prefix", "exact /foo": "foo-exact" }),
        rule("trailing-slash-path-rules", {
          "prefix /aaa/bbb/": "aaa-slash-bbb-slash-prefix",
          "exact /foo/": "foo-slash-exact",
        }),
      ],
    }),
  ]);
  test.each(pathCases)("%s%s", (host, path, expected) => {
    expect(served(table, host, path)).toBe(expected);
  });
});

describe("upstream's conformance: ingress class", () => {
  test("an Ingress of an unknown class is not served", () => {
    const table = tableOf([
      ingress("c", {
        ingressClassName: "some-invalid-class-name",
        rules: [rule("ingress-class", { "prefix /": "ingress-class-prefix" })],
      }),
    ]);
    expect(served(table, "ingress-class", "/")).toBeUndefined();
    expect(table.count).toBe(0);
  });
});

describe("paths that lead elsewhere", () => {
  test.each([
    ["/public/../admin", "/admin"],
    ["/public/%2e%2E/admin", "/admin"],
    ["/public/%2e%2e%2fadmin", "/admin"],
    ["/public/%2e%2e/admin/%ff", "/admin/%ff"],
    ["/public/.", "/public/"],
    ["/public/a%20b?x=..", "/public/a b"],
    ["/public/a..b/..c/...", "/public/a..b/..c/..."],
  ])("%s is %s", (target, path) => {
    expect(pathOf(target)).toBe(path);
  });
  test.each(["/public//../admin", "/public/..;x/admin", "/public/.;/a", "/public\\..\\admin"])(
    "%s is rejected",
    (target) => {
      expect(() => pathOf(target)).toThrow("ambiguous path");
    },
  );
});

describe("which Ingress is ours", () => {
  const spec = { defaultBackend: to("a") };
  test.each([
    [ingress("i", { ...spec, ingressClassName: "bramble" }), true],
    [ingress("i", { ...spec, ingressClassName: "nginx" }), false],
    [ingress("i", spec), true],
    [ingress("i", spec, { annotations: { "kubernetes.io/ingress.class": "bramble" } }), true],
    [ingress("i", spec, { annotations: { "kubernetes.io/ingress.class": "nginx" } }), false],
  ])("%#", (one, expected) => {
    const other = ingressClass("nginx", false);
    other.spec = { controller: "k8s.io/ingress-nginx" };
    expect(isOwnedIngress(one, [ingressClass(), other])).toBe(expected);
  });
  test("without a class, only where ours is the default", () => {
    expect(isOwnedIngress(ingress("i", spec), [ingressClass("bramble", false)])).toBe(false);
  });
});

describe("precedence", () => {
  test("a rule of any host serves what the host's own rules do not; defaults come last", () => {
    const table = tableOf([
      ingress("a", {
        defaultBackend: to("default"),
        rules: [rule("a.test", { "prefix /a": "a" }), rule(undefined, { "prefix /all": "all" })],
      }),
    ]);
    expect(served(table, "a.test", "/a")).toBe("a");
    expect(served(table, "a.test", "/all/x")).toBe("all");
    expect(served(table, "a.test", "/x")).toBe("default");
    expect(served(table, "b.test", "/x")).toBe("default");
  });
  test("the host itself goes before a wildcard", () => {
    const table = tableOf([
      ingress("a", {
        rules: [rule("*.x.test", { "prefix /": "wild" }), rule("a.x.test", { "prefix /": "own" })],
      }),
    ]);
    expect(served(table, "a.x.test", "/")).toBe("own");
    expect(served(table, "b.x.test", "/")).toBe("wild");
  });
  test("of two Ingresses with the same path the older one has it", () => {
    const at = (year: string) => ({ creationTimestamp: `${year}-01-01T00:00:00Z` });
    const spec = (name: string) => ({ rules: [rule("a.test", { "prefix /": name })] });
    const both = [ingress("new", spec("new"), at("2026")), ingress("old", spec("old"), at("2025"))];
    expect(served(tableOf(both), "a.test", "/")).toBe("old");
    expect(served(tableOf(both.reverse()), "a.test", "/")).toBe("old");
  });
  test("dots and encoding lead nowhere else", () => {
    const table = tableOf([
      ingress("a", { rules: [rule("a.test", { "prefix /in": "in", "prefix /": "out" })] }),
    ]);
    expect(served(table, "a.test", "/x/../in/y?z=/../")).toBe("in");
    expect(served(table, "a.test", "/%69n")).toBe("in");
    expect(served(table, "a.test", "/in/../")).toBe("out");
    expect(served(table, "a.test", "/%ff/in")).toBe("out");
  });
});

describe("backends", () => {
  const spec = { rules: [rule("a.test", { "any /": "web" })] };
  const backend = (names: string[]) =>
    tableOf([ingress("a", spec)], { slices: { web: slice("web", names) } }).backends[0];
  const endpoints = (names: string[]) => backend(names)?.endpoints;
  test("ready endpoints only", () => {
    expect(endpoints(["10.0.0.1", "!10.0.0.2", "~10.0.0.3"])).toEqual([
      { address: "10.0.0.1", port: 80 },
    ]);
  });
  test("none on the node's own loopback or link", () => {
    const local = ["127.0.0.1", "0.0.0.0", "169.254.169.254", "::ffff:127.0.0.1"];
    expect(endpoints([...local, "10.0.0.1"])).toEqual([{ address: "10.0.0.1", port: 80 }]);
  });
  test("ending ones where all are ending", () => {
    expect(endpoints(["!10.0.0.2", "~10.0.0.3"])).toEqual([{ address: "10.0.0.3", port: 80 }]);
  });
  test("those that are in a slice and not asked are known", () => {
    const others = (names: string[]) => backend(names)?.others.map(({ address }) => address);
    expect(others(["10.0.0.1", "!10.0.0.2", "~10.0.0.3"])).toEqual(["10.0.0.2", "10.0.0.3"]);
    expect(others(["!10.0.0.2", "~10.0.0.3"])).toEqual(["10.0.0.2"]);
    expect(others(["10.0.0.1"])).toEqual([]);
  });
  test("a port by its name", () => {
    const named = { rules: [{ host: "a", http: { paths: [pathTo("http"), pathTo("x")] } }] };
    expect(tableOf([ingress("a", named)]).problems).toEqual([
      "default/web:x: the Service has no such port",
    ]);
  });
  test("what cannot be served is told", () => {
    const services = { web: service("web", { type: "ExternalName", externalName: "localhost" }) };
    const table = tableOf([ingress("a", spec)], { services });
    expect(table.problems).toEqual(["default/web:8080: ExternalName is not served"]);
    expect(match(table, "a.test", "/")).toMatchObject({ ingress: "default/a" });
    expect(tableOf([ingress("a", spec)], { services: {} }).problems).toEqual([
      "default/web:8080: there is no such Service",
    ]);
  });
  function pathTo(port: string) {
    return { path: `/${port}`, pathType: "Prefix", backend: to("web", port) };
  }
});

describe("settings of one Ingress", () => {
  const rules = [rule("a.test", { "prefix /": "web" }), rule("b.test", { "prefix /": "web" })];
  const tls = [{ hosts: ["a.test"], secretName: "s" }];
  const routeOf = (annotations: object, host = "a.test") =>
    match(tableOf([ingress("a", { rules, tls }, { annotations })]), host, "/");
  test("HTTP is sent on where there is TLS, unless that is turned off", () => {
    expect(routeOf({})?.redirect).toBe(true);
    expect(routeOf({}, "b.test")?.redirect).toBe(false);
    expect(routeOf({ "ingress.bramble.dev/ssl-redirect": "false" })?.redirect).toBe(false);
  });
  test("the largest body", () => {
    expect(routeOf({ "ingress.bramble.dev/body-size-max": "10Mi" })?.bodyBytesMax).toBe(10485760);
    const wrong = { annotations: { "ingress.bramble.dev/body-size-max": "many" } };
    expect(tableOf([ingress("a", { rules }, wrong)]).problems).toEqual([
      "default/a: ingress.bramble.dev/body-size-max: not a quantity",
    ]);
  });
  test("TLS without hosts is for all hosts of the rules, or for everybody", () => {
    const names = (spec: object) => [
      ...tableOf([ingress("a", { tls: [{ secretName: "s" }], ...spec })]).certificates.keys(),
    ];
    expect(names({ rules })).toEqual(["a.test", "b.test"]);
    expect(names({ defaultBackend: to("web") })).toEqual([""]);
  });
});

const label = fc.constantFrom("a", "b", "c");
const hostText = fc.array(label, { minLength: 1, maxLength: 3 }).map((all) => all.join("."));
const pathText = fc.array(label, { maxLength: 4 }).map((all) => `/${all.join("/")}`);
const arbitraryRule = fc.record({
  host: fc.oneof(
    hostText,
    hostText.map((text) => `*.${text}`),
    fc.constant(undefined),
  ),
  path: pathText,
  type: fc.constantFrom("exact", "prefix", "any"),
});

test("property: a request goes to a rule that matches, and to no worse one", () => {
  const matches = (one: { host: string | undefined; path: string; type: string }) => {
    const bare = one.path === "/" ? "" : one.path;
    return (host: string, path: string) =>
      (one.host === undefined || covers(one.host, host)) &&
      (one.type === "exact" ? path === one.path : path === bare || path.startsWith(`${bare}/`));
  };
  const rank = (one: { host: string | undefined; path: string; type: string }) =>
    (one.host === undefined ? 0 : one.host.startsWith("*") ? 1 : 2) * 1e6 +
    one.path.length * 10 +
    (one.type === "exact" ? 1 : 0);
  fc.assert(
    fc.property(
      fc.array(arbitraryRule, { maxLength: 8 }),
      hostText,
      pathText,
      (all, host, path) => {
        const table = tableOf([
          ingress("x", {
            rules: all.map((one, at) => rule(one.host, { [`${one.type} ${one.path}`]: `s${at}` })),
          }),
        ]);
        const name = served(table, host, path);
        const fitting = all.filter((one) => matches(one)(host, path));
        if (fitting.length === 0) return name === undefined;
        const chosen = all[Number(name?.slice(1))];
        return (
          chosen !== undefined &&
          matches(chosen)(host, path) &&
          rank(chosen) === Math.max(...fitting.map(rank))
        );
      },
    ),
    tries(500),
  );
});
