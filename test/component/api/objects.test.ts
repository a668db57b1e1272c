import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startApi, type TestApi } from "#test/support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const CM = "/api/v1/namespaces/default/configmaps";
const MERGE = { headers: { "content-type": "application/merge-patch+json" } };
const cm = (name: string, data: object = { k: "v" }) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, labels: { app: name } },
  data,
});

describe("create and get", () => {
  test("answers 201 with what the server sets, and the same text on get", async () => {
    const made = await api.call("POST", CM, cm("one"));
    expect(made.code).toBe(201);
    expect(made.body.metadata).toMatchObject({ name: "one", namespace: "default" });
    expect(made.body.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(made.body.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    const got = await api.call("GET", `${CM}/one`);
    expect(got.code).toBe(200);
    expect(got.text).toBe(made.text);
  });

  test("a client chooses neither uid nor creation time nor deletion time", async () => {
    const object = cm("stamps");
    Object.assign(object.metadata, {
      uid: "mine",
      creationTimestamp: "2000-01-01T00:00:00Z",
      deletionTimestamp: "2000-01-01T00:00:00Z",
      selfLink: "/x",
    });
    const { body } = await api.call("POST", CM, object);
    expect(body.metadata.uid).not.toBe("mine");
    expect(body.metadata.creationTimestamp).not.toStartWith("2000");
    expect(body.metadata.deletionTimestamp).toBeUndefined();
    expect(body.metadata.selfLink).toBeUndefined();
  });

  test("a second one of the same name is refused as upstream words it", async () => {
    await api.create(CM, cm("twice"));
    const { code, body } = await api.call("POST", CM, cm("twice"));
    expect(code).toBe(409);
    expect(body).toMatchObject({
      kind: "Status",
      status: "Failure",
      reason: "AlreadyExists",
      message: 'configmaps "twice" already exists',
      details: { name: "twice", kind: "configmaps" },
    });
  });

  test("generateName makes names until one is free", async () => {
    const make = () => api.call("POST", CM, { metadata: { generateName: "gen-" } });
    const [a, b] = [await make(), await make()];
    expect(a.body.metadata.name).toMatch(/^gen-[a-z0-9]{5}$/);
    expect(b.body.metadata.name).not.toBe(a.body.metadata.name);
  });

  test.each([
    ["a missing object", "GET", `${CM}/nope`, undefined, 404, 'configmaps "nope" not found'],
    [
      "a missing namespace",
      "POST",
      "/api/v1/namespaces/nope/configmaps",
      cm("x"),
      404,
      'namespaces "nope" not found',
    ],
    [
      "an unknown resource",
      "GET",
      "/apis/x.io/v1/foos",
      undefined,
      404,
      "the server could not find the requested resource",
    ],
    [
      "a bad name",
      "POST",
      CM,
      cm("Bad_Name"),
      422,
      /^ConfigMap "Bad_Name" is invalid: metadata\.name/,
    ],
    ["no name", "POST", CM, { data: {} }, 422, /name or generateName is required/],
    [
      "another namespace in the body",
      "POST",
      CM,
      { metadata: { name: "x", namespace: "other" } },
      400,
      "the namespace of the provided object does not match the namespace sent on the request",
    ],
    [
      "another kind in the body",
      "POST",
      CM,
      { apiVersion: "v1", kind: "Secret", metadata: { name: "x" } },
      400,
      /does not match the expected kind/,
    ],
    ["broken JSON", "POST", CM, "{", 400, /unrecognized/],
    ["a body that is no object", "POST", CM, "[]", 400, /cannot unmarshal/],
    [
      "a method that is not served",
      "POST",
      `${CM}/one`,
      cm("one"),
      405,
      /does not allow this method/,
    ],
  ])("%s is refused", async (_what, method, path, body, code, message) => {
    const answer = await api.call(method, path, body as object | string | undefined);
    expect(answer.code).toBe(code);
    expect(answer.body.message).toMatch(message);
    expect(answer.body).toMatchObject({ kind: "Status", apiVersion: "v1", code });
  });

  test("a body over the limit is 413", async () => {
    const { code, body } = await api.call("POST", CM, cm("big", { k: "x".repeat(3_200_000) }));
    expect(code).toBe(413);
    expect(body.reason).toBe("RequestEntityTooLarge");
  });

  test("YAML goes in and out", async () => {
    const yaml = "metadata: {name: yam}\ndata:\n  a: |\n    two\n    lines\n";
    const headers = { "content-type": "application/yaml", accept: "application/yaml" };
    const made = await api.call("POST", CM, yaml, { headers });
    expect(made.code).toBe(201);
    expect(made.headers.get("content-type")).toBe("application/yaml");
    expect(made.text).toContain("kind: ConfigMap");
    expect((await api.call("GET", `${CM}/yam`)).body.data.a).toBe("two\nlines\n");
  });

  test("a form that nobody makes is 406, a body that nobody reads 415", async () => {
    const cbor = await api.call("GET", CM, undefined, { headers: { accept: "application/cbor" } });
    expect(cbor.code).toBe(406);
    const sent = await api.call("POST", CM, "x", {
      headers: { "content-type": "application/cbor" },
    });
    expect(sent.code).toBe(415);
  });

  test("pretty breaks lines", async () => {
    expect((await api.call("GET", `${CM}/one?pretty=true`)).text).toContain('\n  "kind"');
  });
});

describe("stray fields", () => {
  const stray = { ...cm("stray"), foo: 1 };
  test("are refused when strict", async () => {
    const { code, body } = await api.call("POST", `${CM}?fieldValidation=Strict`, stray);
    expect(code).toBe(400);
    expect(body.message).toBe(
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "foo"',
    );
  });

  test("are told and dropped by default", async () => {
    const { code, headers, body } = await api.call("POST", CM, stray);
    expect(code).toBe(201);
    expect(headers.get("warning")).toBe('299 - "unknown field \\"foo\\""');
    expect(body.foo).toBeUndefined();
  });

  test("pass in silence when ignored", async () => {
    const object = { ...cm("stray2"), foo: 1 };
    const { code, headers } = await api.call("POST", `${CM}?fieldValidation=Ignore`, object);
    expect([code, headers.get("warning")]).toEqual([201, null]);
  });

  test("doubled ones are found when asked for", async () => {
    const text = '{"metadata":{"name":"dup"},"data":{"a":"1","a":"2"}}';
    const { code, body } = await api.call("POST", `${CM}?fieldValidation=Strict`, text);
    expect(code).toBe(400);
    expect(body.message).toContain('duplicate field "data.a"');
  });
});

describe("update", () => {
  test("replaces at the revision that was read, and no other", async () => {
    const first = await api.create(CM, cm("up"));
    const second = await api.call("PUT", `${CM}/up`, { ...first, data: { k: "2" } });
    expect(second.code).toBe(200);
    expect(second.body.metadata.uid).toBe((first.metadata as { uid?: string }).uid);
    const late = await api.call("PUT", `${CM}/up`, { ...first, data: { k: "3" } });
    expect(late.code).toBe(409);
    expect(late.body.message).toBe(
      'Operation cannot be fulfilled on configmaps "up": the object has been modified; ' +
        "please apply your changes to the latest version and try again",
    );
  });

  test("without a revision it replaces whatever is there", async () => {
    await api.create(CM, cm("free"));
    const { code, body } = await api.call("PUT", `${CM}/free`, cm("free", { k: "2" }));
    expect([code, body.data.k]).toEqual([200, "2"]);
  });

  test("what changes nothing writes nothing", async () => {
    const first = await api.create(CM, cm("same"));
    const again = await api.call("PUT", `${CM}/same`, {
      ...first,
      metadata: { name: "same", labels: { app: "same" } },
    });
    const patched = await api.call("PATCH", `${CM}/same`, { data: { k: "v" } }, MERGE);
    const version = (first.metadata as { resourceVersion?: string }).resourceVersion;
    expect(again.body.metadata.resourceVersion).toBe(version);
    expect(patched.body.metadata.resourceVersion).toBe(version);
  });

  test("an unknown object is 404, except where PUT creates", async () => {
    expect((await api.call("PUT", `${CM}/none`, cm("none"))).code).toBe(404);
    const lease = { metadata: { name: "l" }, spec: { holderIdentity: "a" } };
    const leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    expect((await api.call("PUT", `${leases}/l`, lease)).code).toBe(201);
  });

  test("another name or uid in the body is refused", async () => {
    await api.create(CM, cm("mine"));
    expect((await api.call("PUT", `${CM}/mine`, cm("yours"))).code).toBe(400);
    const other = cm("mine");
    Object.assign(other.metadata, { uid: "other" });
    const { code, body } = await api.call("PUT", `${CM}/mine`, other);
    expect(code).toBe(409);
    expect(body.message).toContain("Precondition failed: UID in precondition: other");
  });

  test("many writers without a revision all get through", async () => {
    await api.create(CM, cm("busy", {}));
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        api.call("PATCH", `${CM}/busy`, { data: { [`k${i}`]: "v" } }, MERGE),
      ),
    );
    expect(answers.map(({ code }) => code)).toEqual(Array(8).fill(200));
    expect(Object.keys((await api.call("GET", `${CM}/busy`)).body.data)).toHaveLength(8);
  });
});

describe("generation and status", () => {
  const DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments";
  const deployment = (name: string) => ({
    metadata: { name },
    spec: {
      selector: { matchLabels: { a: "b" } },
      template: {
        metadata: { labels: { a: "b" } },
        spec: { containers: [{ name: "c", image: "i:1" }] },
      },
    },
  });

  test("generation counts changes of the spec alone", async () => {
    await api.create(DEPLOYMENTS, deployment("gen"));
    const label = { metadata: { labels: { x: "y" } } };
    const labelled = await api.call("PATCH", `${DEPLOYMENTS}/gen`, label, MERGE);
    expect(labelled.body.metadata.generation).toBe(1);
    const scaled = await api.call("PATCH", `${DEPLOYMENTS}/gen`, { spec: { replicas: 3 } }, MERGE);
    expect(scaled.body.metadata.generation).toBe(2);
    const status = { status: { replicas: 3 } };
    const ran = await api.call("PATCH", `${DEPLOYMENTS}/gen/status`, status, MERGE);
    expect([ran.body.metadata.generation, ran.body.status.replicas]).toEqual([2, 3]);
  });

  test("the object's own writes leave the status, the status's leave the spec", async () => {
    const made = await api.create(DEPLOYMENTS, {
      ...deployment("st"),
      status: { replicas: 9 },
    } as object);
    expect((made as { status?: { replicas?: number } }).status?.replicas).toBeUndefined();
    const both = { spec: { replicas: 7 }, status: { observedGeneration: 4 } };
    const onStatus = await api.call("PATCH", `${DEPLOYMENTS}/st/status`, both, MERGE);
    expect(onStatus.body.spec.replicas).toBe(1);
    expect(onStatus.body.status.observedGeneration).toBe(4);
    const onObject = await api.call(
      "PATCH",
      `${DEPLOYMENTS}/st`,
      { status: { replicas: 5 } },
      MERGE,
    );
    expect(onObject.body.status).toEqual({ observedGeneration: 4 });
  });

  test("scale reads and writes the replicas of the object", async () => {
    await api.create(DEPLOYMENTS, deployment("sc"));
    const { body } = await api.call("GET", `${DEPLOYMENTS}/sc/scale`);
    expect(body).toMatchObject({
      kind: "Scale",
      spec: { replicas: 1 },
      status: { selector: "a=b" },
    });
    body.spec.replicas = 4;
    expect((await api.call("PUT", `${DEPLOYMENTS}/sc/scale`, body)).body.spec.replicas).toBe(4);
    expect((await api.call("GET", `${DEPLOYMENTS}/sc`)).body.spec.replicas).toBe(4);
    expect((await api.call("PUT", `${DEPLOYMENTS}/sc/scale`, body)).code).toBe(409);
    const below = await api.call(
      "PATCH",
      `${DEPLOYMENTS}/sc/scale`,
      { spec: { replicas: -1 } },
      MERGE,
    );
    expect(below.code).toBe(422);
  });
});

describe("dry run", () => {
  test("answers as if, and stores nothing", async () => {
    const made = await api.call("POST", `${CM}?dryRun=All`, cm("dry"));
    expect(made.code).toBe(201);
    expect((await api.call("GET", `${CM}/dry`)).code).toBe(404);
    await api.create(CM, cm("dry"));
    expect((await api.call("POST", `${CM}?dryRun=All`, cm("dry"))).code).toBe(409);
    const patched = await api.call("PATCH", `${CM}/dry?dryRun=All`, { data: { k: "x" } }, MERGE);
    expect(patched.body.data.k).toBe("x");
    expect((await api.call("DELETE", `${CM}/dry?dryRun=All`)).code).toBe(200);
    expect((await api.call("GET", `${CM}/dry`)).body.data.k).toBe("v");
  });

  test("no other value is known", async () => {
    expect((await api.call("POST", `${CM}?dryRun=Some`, cm("dry2"))).code).toBe(422);
  });

  test("an address that a dry run takes is free again", async () => {
    const path = "/api/v1/namespaces/default/services";
    const service = {
      metadata: { name: "s" },
      spec: { clusterIP: "10.43.0.77", ports: [{ port: 80 }] },
    };
    expect((await api.call("POST", `${path}?dryRun=All`, service)).code).toBe(201);
    expect((await api.call("POST", path, service)).code).toBe(201);
  });
});
