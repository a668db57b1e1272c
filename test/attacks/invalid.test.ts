/**
 * Invalid input: no request makes the server answer 500. Every resource and subresource that
 * discovery shows is asked with every method and malformed paths, headers, options and bodies.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { apiVersionOf, type Kind } from "#resources/kind.ts";
import { kinds } from "#resources/kinds.ts";
import type { ApiObject } from "#resources/meta.ts";
import { ADMIN, startApi, type TestApi } from "#test/support/api.ts";
import minimalText from "#test/support/suites/minimal.yaml" with { type: "text" };

const NS = "/api/v1/namespaces/x";
const JSON_TYPE = "application/json";
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
/** Upstream answers these for what is not there, too: a node without an agent, a wait. */
const ALLOWED = new Set([501, 503, 504]);

let api: TestApi;
/** What discovery shows: each path, where its name is in it, and whether an object is there. */
interface Place {
  readonly all: string;
  readonly name: string;
  /** With its slash; "" for the object itself. */
  readonly sub: string;
}

let places: Place[];
let paths: string[];
const pathOf = ({ all, name, sub }: Place): string => `${all}/${name}${sub}`;

/** Of each collection, the name of the object that is there. */
const names = new Map<string, string>();

function collectionOf({ apiVersion, kind }: ApiObject): string {
  const found = kinds.find((one) => apiVersionOf(one) === apiVersion && one.kind === kind) as Kind;
  const root = found.group === "" ? "/api/v1" : `/apis/${apiVersion}`;
  return `${root}${found.namespaced ? "/namespaces/x" : ""}/${found.plural}`;
}

interface Listed {
  readonly groupVersion: string;
  readonly resources: ReadonlyArray<{ readonly name: string; readonly namespaced: boolean }>;
}

async function discovered(): Promise<Place[]> {
  const roots = ["/api/v1"];
  const groups = (await api.call("GET", "/apis")).body.groups as Array<{
    versions: Array<{ groupVersion: string }>;
  }>;
  for (const { versions } of groups) {
    roots.push(...versions.map(({ groupVersion }) => `/apis/${groupVersion}`));
  }
  const found: Place[] = [];
  for (const root of roots) {
    const { resources } = (await api.call("GET", root)).body as Listed;
    for (const { name, namespaced } of resources) {
      const [plural, sub] = name.split("/");
      const all = `${root}${namespaced ? "/namespaces/x" : ""}/${plural}`;
      found.push({ all, name: names.get(all) ?? "a", sub: sub === undefined ? "" : `/${sub}` });
    }
  }
  return found;
}

beforeAll(async () => {
  api = await startApi();
  for (const name of ["x", "y"]) await api.create("/api/v1/namespaces", { metadata: { name } });
  await api.create(`${NS}/serviceaccounts`, { metadata: { name: "default" } });
  for (const object of Bun.YAML.parse(minimalText as unknown as string) as ApiObject[]) {
    // These webhooks would intercept all later requests.
    if (object.apiVersion?.startsWith("admissionregistration")) continue;
    await api.call("POST", collectionOf(object), object);
    if (object.metadata?.name !== undefined) names.set(collectionOf(object), object.metadata.name);
  }
  places = await discovered();
  paths = [...new Set(places.flatMap((place) => [place.all, pathOf(place)]))];
});
afterAll(() => api.close());

interface Attempt {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly headers?: Record<string, string>;
}

/** Returns the fault of a response. Closes streams immediately. */
async function fault({ method, path, body, headers = {} }: Attempt): Promise<string | undefined> {
  const gone = new AbortController();
  const init: RequestInit = { method, headers, signal: gone.signal };
  if (body !== undefined && method !== "GET" && method !== "HEAD") init.body = body;
  const answer = await api.raw(path, init, { user: ADMIN });
  const { status } = answer;
  if (status < 500 || ALLOWED.has(status)) {
    gone.abort();
    await answer.body?.cancel().catch(() => {});
    return undefined;
  }
  const about = `${method} ${path} ${JSON.stringify(headers)} ${String(body).slice(0, 200)}`;
  return `${status} ${about}: ${(await answer.text()).slice(0, 300)}`;
}

/** All that fail, so that one run shows them all. */
async function faults(attempts: Iterable<Attempt>): Promise<string[]> {
  const found: string[] = [];
  for (const attempt of attempts) {
    const wrong = await fault(attempt);
    if (wrong !== undefined) found.push(wrong);
  }
  return found;
}

const OPTIONS = [
  ...["limit=-1", "limit=x", "limit=99999999999999999999", "limit=1e400", "limit=1.5"],
  ...[
    "continue=x",
    "continue=%00",
    "continue=bnVsbA",
    "continue=e30",
    "continue=W10",
    "continue=MQ",
  ],
  ...["resourceVersion=x", "resourceVersion=-1", "resourceVersion=99999999999999999999"],
  ...["resourceVersionMatch=x", "resourceVersionMatch=Exact", "sendInitialEvents=x"],
  ...["timeoutSeconds=x", "timeoutSeconds=-1", "timeoutSeconds=1e99", "timeout=x", "timeout=-1s"],
  ...["dryRun=x", "dryRun=All&dryRun=x", "fieldManager=%00", `fieldManager=${"m".repeat(300)}`],
  ...["fieldSelector=%ff", "fieldSelector=__proto__%3Da", "fieldSelector=%3D", "fieldSelector=a"],
  ...[
    "labelSelector=%ff",
    "labelSelector=__proto__",
    "labelSelector=a%20in%20(",
    "labelSelector=!",
  ],
  ...["gracePeriodSeconds=x", "gracePeriodSeconds=-1", "propagationPolicy=x", "orphanDependents=x"],
  ...[
    "fieldValidation=x",
    "force=x",
    "pretty=x",
    "includeObject=x",
    "watch=x",
    "%",
    "%zz=%zz",
    "=&=&",
  ],
  ...["__proto__=1", "constructor=1", "container=%ff", "tailLines=x", "sinceTime=x", "ports=x"],
];

/** Bodies of a wrong shape, in the place of an object. */
const BODIES = [
  ...["", " ", "null", "[]", "[null]", '"x"', "0", "true", "{", "\u0000", "{}"],
  '{"__proto__":{"a":1}}',
  '{"constructor":{"prototype":{"a":1}}}',
  '{"metadata":null,"spec":null,"status":null}',
  '{"metadata":[],"spec":[],"status":[]}',
  '{"metadata":"x","spec":"x","status":"x"}',
  '{"metadata":{"name":null,"labels":{"__proto__":"a"},"annotations":{"constructor":"a"}}}',
  '{"metadata":{"name":1,"labels":[],"annotations":1,"ownerReferences":{},"finalizers":{}}}',
  '{"metadata":{"name":"a","ownerReferences":[null],"finalizers":[null]}}',
  '{"metadata":{"name":"a","managedFields":[null],"resourceVersion":1,"uid":[]}}',
  '{"metadata":{"name":"a","managedFields":[{"fieldsV1":{"f:__proto__":1}}]}}',
  '{"metadata":{"name":"__proto__"},"spec":{"__proto__":{}},"data":{"__proto__":"a"}}',
  '{"metadata":{"generateName":"constructor","creationTimestamp":"x"}}',
  '{"apiVersion":1,"kind":{},"metadata":{}}',
  '{"apiVersion":"v1","kind":"DeleteOptions","preconditions":[],"gracePeriodSeconds":"x"}',
  '{"preconditions":{"uid":1},"propagationPolicy":1,"dryRun":1}',
  '{"spec":{"token":[],"audiences":[null],"target":null,"resourceAttributes":[],"user":{}}}',
  '{"spec":{"replicas":"x","boundObjectRef":[],"expirationSeconds":"x","containers":[null]}}',
];

const PATCHES: ReadonlyArray<readonly [string, readonly string[]]> = [
  [
    "application/json-patch+json",
    [
      ...["null", "{}", "[null]", "[1]", "[[]]", '"x"', "[{}]", '[{"op":null,"path":null}]'],
      ...[
        "/__proto__/x",
        "/constructor/prototype/x",
        "/metadata/__proto__",
        "/-1",
        "/-",
        "/~",
        "x",
      ].map((path) => JSON.stringify([{ op: "add", path, value: { a: 1 } }])),
      ...[
        "/metadata/finalizers/99999999999",
        "/metadata/finalizers/-1",
        "/metadata",
        "",
        "/kind",
      ].map((path) => JSON.stringify([{ op: "add", path, value: null }])),
      ...["/__proto__", "/metadata/name/x", "/metadata/labels/99999999999", ""].map((from) =>
        JSON.stringify([{ op: "move", from, path: "/metadata/labels/x" }]),
      ),
      JSON.stringify([{ op: "remove", path: "" }]),
      JSON.stringify([{ op: "copy", from: "", path: "/metadata/annotations" }]),
      JSON.stringify([{ op: "test", path: "/__proto__", value: null }]),
    ],
  ],
  ["application/merge-patch+json", BODIES],
  [
    "application/strategic-merge-patch+json",
    [
      ...BODIES,
      '{"$patch":"delete"}',
      '{"$patch":null}',
      '{"$patch":{}}',
      '{"$retainKeys":[null],"metadata":{"$retainKeys":1}}',
      '{"$setElementOrder/__proto__":[],"$setElementOrder/":[null],"$deleteFromPrimitiveList/":[]}',
      '{"metadata":{"$deleteFromPrimitiveList/finalizers":{},"$setElementOrder/finalizers":1}}',
      '{"spec":{"containers":[null]}}',
      '{"spec":{"containers":[{"name":{}}],"$setElementOrder/containers":[null]}}',
      '{"spec":{"template":{"spec":{"containers":[1]}}}}',
    ],
  ],
  [
    "application/apply-patch+yaml",
    [
      ...[
        "",
        "null",
        "[]",
        "x",
        "&a [*a]",
        "a: *b",
        "? []\n: 1",
        "!!binary x",
        "%YAML 9.9\n---\na",
      ],
      ...["apiVersion: {}\nkind: []", "apiVersion: v1\nkind: __proto__", "<<: *a", "&a {<<: *a}"],
    ],
  ],
  ["application/x", ["{}"]],
  ["", ["{}"]],
];

const PERCENT = [
  "%",
  "%2",
  "%zz",
  "%ff",
  "%c3%28",
  "%00",
  "%2e%2e",
  "%2f",
  "%e0%80%af",
  "%ed%a0%80",
];
const NAMES = [
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "a b",
  "-",
  ".",
  "\u00e9",
  "'",
];

describe("every resource and subresource of discovery", () => {
  test("with malformed options", async () => {
    const attempts = paths.flatMap((path, index) =>
      METHODS.map((method, at) => {
        const option = OPTIONS[(index * METHODS.length + at * 7) % OPTIONS.length] ?? "";
        return { method, path: `${path}?dryRun=All&${option}` };
      }),
    );
    expect(await faults(attempts)).toEqual([]);
    const few = paths.filter((path) => /\/(configmaps|pods|deployments)(\/a)?$/.test(path));
    const all = few.flatMap((path) =>
      METHODS.flatMap((method) =>
        OPTIONS.map((option) => ({ method, path: `${path}?dryRun=All&${option}` })),
      ),
    );
    expect(await faults(all)).toEqual([]);
  }, 60_000);

  test("with malformed percent-encoding and odd names", async () => {
    function* attempts(): Generator<Attempt> {
      for (const place of places) {
        for (const name of [...PERCENT, ...NAMES]) {
          yield { method: "GET", path: pathOf({ ...place, name }) };
        }
        const all = place.all.replace("/namespaces/x", "/namespaces/%ff");
        yield { method: "GET", path: pathOf({ ...place, all }) };
      }
    }
    expect(await faults(attempts())).toEqual([]);
  }, 60_000);

  test("with bodies of a wrong shape", async () => {
    function* attempts(): Generator<Attempt> {
      const headers = { "content-type": JSON_TYPE };
      for (const place of places) {
        for (const body of BODIES) {
          const path = `${pathOf(place)}?dryRun=All`;
          for (const method of ["POST", "PUT", "DELETE"]) yield { method, path, body, headers };
          const all = { path: `${place.all}?dryRun=All`, body, headers };
          if (place.sub === "") yield { method: "POST", ...all };
          if (place.sub === "") yield { method: "DELETE", ...all };
        }
      }
    }
    expect(await faults(attempts())).toEqual([]);
  }, 60_000);

  test("with malformed patches", async () => {
    function* attempts(): Generator<Attempt> {
      for (const path of places.map(pathOf)) {
        for (const [type, bodies] of PATCHES) {
          for (const body of bodies) {
            const query = "dryRun=All&fieldManager=m";
            const headers: Record<string, string> = type === "" ? {} : { "content-type": type };
            yield { method: "PATCH", path: `${path}?${query}`, body, headers };
          }
        }
      }
    }
    expect(await faults(attempts())).toEqual([]);
  }, 60_000);
});

describe("odd headers", () => {
  const HEADERS: ReadonlyArray<Record<string, string>> = [
    ...["", ",", ";", "x", "*/*;q=x", "application/json;as=Table;g=__proto__;v=v1"].map(
      (accept) => ({
        accept,
      }),
    ),
    ...["application/json;as=Table;g=meta.k8s.io;v=", "a/b;".repeat(500)].map((accept) => ({
      accept,
    })),
    ...[
      "",
      ";",
      "application/",
      "application/yaml",
      "x",
      "application/vnd.kubernetes.protobuf",
    ].map((type) => ({ "content-type": type })),
    ...["gzip", "x", "gzip, gzip"].map((coding) => ({ "content-encoding": coding })),
    ...["gzip;q=x", ",", "br"].map((coding) => ({ "accept-encoding": coding })),
    ...["%", "%ff", "%zz", "__proto__"].map((key) => ({
      "impersonate-user": "a",
      [`impersonate-extra-${key}`]: "b",
    })),
    { "impersonate-user": "" },
    { "impersonate-group": "a" },
    { "impersonate-user": "system:serviceaccount:" },
    { "impersonate-user": "__proto__", "impersonate-uid": "" },
    { "if-none-match": '"' },
    { connection: "upgrade", upgrade: "websocket" },
    { connection: "upgrade", upgrade: "websocket", "sec-websocket-key": "x" },
    { connection: "upgrade", upgrade: "SPDY/3.1", "x-stream-protocol-version": "x" },
    { "sec-websocket-protocol": "base64url.bearer.authorization.k8s.io.%ff" },
    { authorization: "" },
    { authorization: "Bearer" },
    { authorization: "Bearer a.b.c" },
    { authorization: `Bearer ${btoa('{"alg":"none"}')}.${btoa("null")}.x` },
    { range: "bytes=x" },
    { "x-remote-user": "a", "x-forwarded-for": "%" },
  ];

  test("on resources, subresources and the other paths", async () => {
    const others = ["/", "/api", "/apis", "/openapi/v2", "/openapi/v3", "/metrics", "/version"];
    const some = paths.filter((path) =>
      /\/(configmaps|pods|services|nodes)(\/a(\/\w+)?)?$/.test(path),
    );
    const attempts = [...others, "/readyz", "/livez/ping", "/bramble/v1", ...some].flatMap((path) =>
      HEADERS.flatMap((headers) => [
        { method: "GET", path, headers },
        { method: "POST", path, headers, body: '{"metadata":{"name":"a"}}' },
      ]),
    );
    expect(await faults(attempts)).toEqual([]);
  }, 60_000);
});
