/** A dry run of whatever can be written answers as if, and leaves the store at its revision. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { startApi, type TestApi } from "#test/support/api.ts";

let api: TestApi;
const CORE = "/api/v1/namespaces/default";
const APPS = "/apis/apps/v1/namespaces/default/deployments";
const PODS = `${CORE}/pods`;
const MERGE = "application/merge-patch+json";
const JSON_PATCH = "application/json-patch+json";
const APPLY = "application/apply-patch+yaml";

const deployment = (name: string) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name },
  spec: {
    selector: { matchLabels: { app: "a" } },
    template: {
      metadata: { labels: { app: "a" } },
      spec: { containers: [{ name: "c", image: "i:1" }] },
    },
  },
});
const pod = (name: string) => ({
  metadata: { name, labels: { set: "a" } },
  spec: { containers: [{ name: "c", image: "i:1" }] },
});
const target = { apiVersion: "v1", kind: "Node", name: "n1" };

beforeAll(async () => {
  api = await startApi();
  await api.create(`${CORE}/serviceaccounts`, { metadata: { name: "default" } });
  await api.create(APPS, deployment("d"));
  for (const name of ["p", "q"]) await api.create(PODS, pod(name));
  await api.create("/api/v1/namespaces", { metadata: { name: "later" } });
});
afterAll(() => api.close());

const scale = { metadata: { name: "d", namespace: "default" }, spec: { replicas: 5 } };

test.each<[string, string, string, unknown?, string?]>([
  ["create", "POST", APPS, deployment("new")],
  [
    "create with a name of the server's",
    "POST",
    PODS,
    { ...pod(""), metadata: { generateName: "g-" } },
  ],
  ["create a namespace", "POST", "/api/v1/namespaces", { metadata: { name: "dry" } }],
  [
    "update",
    "PUT",
    `${APPS}/d`,
    { ...deployment("d"), metadata: { name: "d", labels: { a: "b" } } },
  ],
  ["merge", "PATCH", `${APPS}/d`, { spec: { replicas: 3 } }, MERGE],
  [
    "JSON patch",
    "PATCH",
    `${APPS}/d`,
    [{ op: "add", path: "/spec/replicas", value: 3 }],
    JSON_PATCH,
  ],
  ["apply to it", "PATCH", `${APPS}/d?fieldManager=m&force=true`, deployment("d"), APPLY],
  ["apply a new one", "PATCH", `${APPS}/fresh?fieldManager=m`, deployment("fresh"), APPLY],
  ["status", "PATCH", `${APPS}/d/status`, { status: { replicas: 1 } }, MERGE],
  ["scale", "PUT", `${APPS}/d/scale`, scale],
  ["binding", "POST", `${PODS}/p/binding`, { metadata: { name: "p" }, target }],
  ["eviction", "POST", `${PODS}/p/eviction`, { metadata: { name: "p" } }],
  ["resize", "PATCH", `${PODS}/p/resize`, { metadata: { labels: { r: "1" } } }, MERGE],
  ["token", "POST", `${CORE}/serviceaccounts/default/token`, { spec: {} }],
  ["delete", "DELETE", `${APPS}/d`],
  ["delete what has dependents", "DELETE", `${APPS}/d?propagationPolicy=Foreground`],
  ["delete a collection", "DELETE", `${PODS}?labelSelector=set%3Da`],
  ["delete a namespace", "DELETE", "/api/v1/namespaces/later"],
])("%s", async (_, method, path, body, type = "application/json") => {
  const before = api.store.revision();
  const [bare = "", query] = path.split("?");
  const words = [query, "dryRun=All"].filter(Boolean).join("&");
  const text = body === undefined ? undefined : JSON.stringify(body);
  const answer = await api.call(method, `${bare}?${words}`, text, {
    headers: { "content-type": type },
  });
  expect([answer.code < 300, answer.text]).toEqual([true, answer.text]);
  expect(api.store.revision()).toBe(before);
});

test("what a dry run answers is what would be there", async () => {
  const query = "fieldManager=m&force=true&dryRun=All";
  const body = { ...deployment("d"), spec: { ...deployment("d").spec, replicas: 9 } };
  const answer = await api.call("PATCH", `${APPS}/d?${query}`, JSON.stringify(body), {
    headers: { "content-type": APPLY },
  });
  expect(answer.body.spec.replicas).toBe(9);
  expect(answer.body.metadata.generation).toBe(2);
  expect((await api.call("GET", `${APPS}/d`)).body.spec.replicas).toBe(1);
});
