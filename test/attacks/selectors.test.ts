/** A query or an odd path that makes the authorizer judge another object than the one served. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { UserInfo } from "#api/core.ts";
import { startApi, type TestApi } from "#test/support/api.ts";
import { allow, RBAC, rule, someone } from "#test/support/rights.ts";

let api: TestApi;
const DEFAULT = "/api/v1/namespaces/default";
const node: UserInfo = { name: "system:node:n1", groups: ["system:nodes"] };

beforeAll(async () => {
  api = await startApi();
  for (const name of ["mine", "theirs"]) {
    await api.create(`${DEFAULT}/secrets`, { metadata: { name } });
    await api.create(`${DEFAULT}/configmaps`, { metadata: { name } });
  }
});
afterAll(() => api.close());

const code = async (user: UserInfo, method: string, path: string, body?: object, type?: string) => {
  const headers = type === undefined ? {} : { "content-type": type };
  return (await api.call(method, path, body, { user, headers })).code;
};

describe("resourceNames", () => {
  const verbs = ["get", "list", "create", "update", "patch", "delete", "deletecollection"];
  let user: UserInfo;
  beforeAll(async () => {
    user = await allow(api, "narrow", rule("", "secrets", verbs, ["mine"]));
  });
  const selector = "?fieldSelector=metadata.name%3Dmine";

  test("a field selector satisfies them for list and deletecollection", async () => {
    const listed = await api.call("GET", `${DEFAULT}/secrets${selector}`, undefined, { user });
    expect(listed.code).toBe(200);
    expect(
      listed.body.items.map((each: { metadata: { name: string } }) => each.metadata.name),
    ).toEqual(["mine"]);
    const dry = `${DEFAULT}/secrets${selector}&dryRun=All`;
    expect(await code(user, "DELETE", dry)).toBe(200);
  });

  test("a field selector does not satisfy them for create", async () => {
    const body = { metadata: { name: "made" } };
    expect(await code(user, "POST", `${DEFAULT}/secrets${selector}`, body)).toBe(403);
  });

  test("a selector that only looks as if it named the object does not satisfy them", async () => {
    for (const text of [
      "type!=x\\,metadata.name\\=mine",
      "metadata.name=theirs,metadata.name!=mine",
      "metadata.name!=mine",
      "metadata.name=",
      "metadata.namespace=default,metadata.name!=x\\,metadata.name\\=mine",
    ]) {
      for (const method of ["GET", "DELETE"]) {
        const path = `${DEFAULT}/secrets?fieldSelector=${encodeURIComponent(text)}`;
        expect([text, await code(user, method, path)]).toEqual([text, 403]);
      }
    }
  });

  test("they hold for the other verbs, whatever the query says", async () => {
    const one = `${DEFAULT}/secrets/theirs${selector}`;
    expect(await code(user, "GET", one)).toBe(403);
    expect(await code(user, "DELETE", one)).toBe(403);
    expect(await code(user, "PUT", one, { metadata: { name: "theirs" } })).toBe(403);
    expect(await code(user, "PATCH", one, {}, "application/merge-patch+json")).toBe(403);
  });
});

describe("a node", () => {
  beforeAll(async () => {
    // The agent's own role reads all pods; this is about what the node authorizer adds.
    await api.call("DELETE", `${RBAC}/clusterrolebindings/system:bramble-agent`);
    await api.create(`${DEFAULT}/pods`, {
      metadata: { name: "elsewhere" },
      spec: { nodeName: "n2", containers: [{ name: "c", image: "i" }] },
    } as object);
    await api.create("/api/v1/persistentvolumes", {
      metadata: { name: "local-n2", labels: { "bramble.dev/node": "n2" } },
      spec: {
        capacity: { storage: "1Gi" },
        accessModes: ["ReadWriteOnce"],
        hostPath: { path: "/x" },
      },
    } as object);
  });
  const own = "fieldSelector=spec.nodeName%3Dn1";
  const merge = "application/merge-patch+json";

  test("lists and watches the pods of its own selector", async () => {
    expect(await code(node, "GET", `/api/v1/pods?${own}`)).toBe(200);
    expect(await code(node, "GET", "/api/v1/pods")).toBe(403);
  });

  test("does not reach another pod by naming itself in a selector", async () => {
    const pod = `${DEFAULT}/pods/elsewhere?${own}`;
    expect(await code(node, "GET", pod)).toBe(403);
    expect(await code(node, "PATCH", pod, { metadata: { labels: { a: "b" } } }, merge)).toBe(403);
    expect(await code(node, "DELETE", `${DEFAULT}/pods?${own}`)).toBe(403);
    expect(await code(node, "GET", `${DEFAULT}/pods/elsewhere?watch=1&${own}`)).toBe(403);
  });

  test("does not list all pods by a selector that hides its name in a value", async () => {
    const hidden = encodeURIComponent("metadata.name!=x\\,spec.nodeName\\=n1");
    expect(await code(node, "GET", `/api/v1/pods?fieldSelector=${hidden}`)).toBe(403);
  });

  test("does not read another ConfigMap of kube-system by naming the DNS one", async () => {
    const path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
    const query = "?fieldSelector=metadata.name%3Dkube-dns";
    expect(await code(node, "GET", path + query)).toBe(403);
  });

  test("does not list all volumes by a label selector that hides its name in a set", async () => {
    const hidden = encodeURIComponent("x notin (a,bramble.dev/node=n1,b)");
    const set = encodeURIComponent("x notin (a),bramble.dev/node in (n1,n2)");
    for (const text of [hidden, set]) {
      expect(await code(node, "GET", `/api/v1/persistentvolumes?labelSelector=${text}`)).not.toBe(
        200,
      );
    }
  });

  test("gets the same answer from a review as from the request", async () => {
    const review = async (attributes: object): Promise<boolean> => {
      const spec = { user: node.name, groups: [...node.groups], resourceAttributes: attributes };
      const path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
      return (await api.call("POST", path, { spec })).body.status.allowed;
    };
    const fieldSelector = {
      requirements: [{ key: "spec.nodeName", operator: "In", values: ["n1"] }],
    };
    const raw = { rawSelector: "spec.nodeName=n1" };
    expect(await review({ resource: "pods", verb: "list", fieldSelector })).toBe(true);
    expect(await review({ resource: "pods", verb: "list", fieldSelector: raw })).toBe(true);
    expect(await review({ resource: "pods", verb: "list" })).toBe(false);
    const one = { resource: "pods", name: "elsewhere", namespace: "default", fieldSelector };
    expect(await review({ ...one, verb: "get" })).toBe(false);
    expect(await review({ ...one, verb: "update" })).toBe(false);
  });
});

describe("a path", () => {
  test("with an encoded slash, an empty or malformed segment is not served", async () => {
    const paths = [
      `${DEFAULT}/secrets/a%2Fb`,
      "/api/v1/namespaces/default%2Fsecrets/pods",
      "/api/v1/namespaces//secrets",
      `${DEFAULT}/secrets//status`,
      "/api/v1//secrets",
      "/apis//v1/secrets",
      "/api/v1/watch/namespaces/default/pods/p/log",
    ];
    for (const path of paths) {
      for (const method of ["GET", "DELETE"]) {
        expect([method, path, (await api.call(method, path)).code]).toEqual([method, path, 404]);
      }
    }
    for (const path of [`${DEFAULT}/secrets/%zz`, `${DEFAULT}/%/x`, "/api/v1/pods/%c3%28"]) {
      expect([path, (await api.call("GET", path)).code]).toEqual([path, 400]);
    }
  });

  test("is judged by its decoded segments, like the ones that are served", async () => {
    const user = await allow(api, "statuses", rule("", "namespaces/secrets", ["get"]));
    const list = `/api/v1/%6eamespaces/default/secrets`;
    expect(await code(user, "GET", list)).toBe(403);
    expect((await api.call("GET", list)).body.kind).toBe("SecretList");
  });

  test("of no resource has one spelling", async () => {
    const role = { verbs: ["get"], nonResourceURLs: ["/%6detrics", "/livez/*", "/%6*"] };
    const user = await allow(api, "spelling", role as never);
    for (const path of ["/%6detrics", "/%6Detrics", "/openapi%2Fv2", "/livez/%2e%2e%2fmetrics"]) {
      expect([path, await code(user, "GET", path)]).toEqual([path, 404]);
    }
    expect(await code(user, "GET", "/metrics")).toBe(403);
  });

  test("below /watch/ only watches", async () => {
    const body = { metadata: { name: "made" } };
    expect((await api.call("POST", "/api/v1/watch/namespaces/default/secrets", body)).code).toBe(
      405,
    );
    const one = "/api/v1/watch/namespaces/default/secrets/mine";
    expect((await api.call("DELETE", one)).code).toBe(405);
  });

  test("of a namespace is in that namespace", async () => {
    const where = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    await api.create(`${where}/roles`, {
      metadata: { name: "keeper" },
      rules: [rule("", "namespaces", ["get"])],
    } as object);
    await api.create(`${where}/rolebindings`, {
      metadata: { name: "keeper" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "keeper" },
      subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "keeper" }],
    } as object);
    expect(await code(someone("keeper"), "GET", DEFAULT)).toBe(200);
    expect(await code(someone("keeper"), "GET", "/api/v1/namespaces/kube-system")).toBe(403);
    expect(await code(someone("keeper"), "GET", "/api/v1/namespaces")).toBe(403);
  });
});
