/** Patches, server-side apply, deletion, subresources, access, definitions and policies. */
import type { Step } from "../ask.ts";

const NS = "/api/v1/namespaces/objects";
const APPS = "/apis/apps/v1/namespaces/objects/deployments";
const MERGE = "application/merge-patch+json";
const STRATEGIC = "application/strategic-merge-patch+json";
const JSON_PATCH = "application/json-patch+json";
const APPLY = "application/apply-patch+yaml";

const step = (
  name: string,
  method: string,
  path: string,
  body?: unknown,
  more: Partial<Step> = {},
): Step => ({
  name: `objects: ${name}`,
  method,
  path,
  ...(body !== undefined && { body }),
  ...more,
});

const post = (name: string, path: string, body: unknown) => step(name, "POST", path, body);
const patch = (name: string, path: string, body: unknown, type: string) =>
  step(name, "PATCH", path, body, { type });

const container = (name: string, more: object = {}) => ({ name, image: `${name}:1`, ...more });
const template = (containers: object[]) => ({
  metadata: { labels: { app: "a" } },
  spec: { containers },
});
const deployment = (name: string) => ({
  metadata: { name },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: "a" } },
    template: template([container("one", { ports: [{ containerPort: 80 }] }), container("two")]),
  },
});
const pod = (name: string, spec: object = {}) => ({
  metadata: { name },
  spec: { containers: [container("main")], ...spec },
});

const before: Step[] = [
  post("namespace", "/api/v1/namespaces", { metadata: { name: "objects" } }),
  post("account", `${NS}/serviceaccounts`, { metadata: { name: "default" } }),
  post("deployment", APPS, deployment("d")),
];

const one = `${APPS}/d`;
const spec = (value: object) => ({ spec: { template: { spec: value } } });
const patches: Step[] = [
  patch("add a container", one, spec({ containers: [container("three")] }), STRATEGIC),
  patch(
    "delete a container",
    one,
    spec({ containers: [{ name: "three", $patch: "delete" }] }),
    STRATEGIC,
  ),
  patch(
    "order containers",
    one,
    spec({ "$setElementOrder/containers": [{ name: "two" }, { name: "one" }] }),
    STRATEGIC,
  ),
  patch(
    "replace the labels",
    one,
    { metadata: { labels: { $patch: "replace", x: "y" } } },
    STRATEGIC,
  ),
  patch(
    "an unknown directive",
    one,
    spec({ containers: [{ name: "one", $patch: "x" }] }),
    STRATEGIC,
  ),
  patch("a container without a name", one, spec({ containers: [{ image: "x" }] }), STRATEGIC),
  patch(
    "retain keys",
    one,
    { spec: { strategy: { $retainKeys: ["type"], type: "Recreate" } } },
    STRATEGIC,
  ),
  patch(
    "delete from a primitive list",
    one,
    { metadata: { "$deleteFromPrimitiveList/finalizers": ["a/b"] } },
    STRATEGIC,
  ),
  patch("a string for a map", one, { spec: "x" }, STRATEGIC),
  patch("replicas that are no number", one, { spec: { replicas: "x" } }, MERGE),
  patch("negative replicas", one, { spec: { replicas: -1 } }, MERGE),
  patch("another selector", one, { spec: { selector: { matchLabels: { app: "b" } } } }, MERGE),
  patch("an unknown field", `${one}?fieldValidation=Strict`, { spec: { nothing: 1 } }, MERGE),
  patch("an unknown field, warned", `${one}?dryRun=All`, { spec: { nothing: 1 } }, MERGE),
  patch("a list for a patch", one, [], MERGE),
  patch("no JSON", one, "{", MERGE),
  patch("another kind", one, { kind: "Pod" }, MERGE),
  patch("another version", one, { apiVersion: "v1" }, MERGE),
  patch("another namespace", one, { metadata: { namespace: "x" } }, MERGE),
  patch("another uid", one, { metadata: { uid: "x" } }, MERGE),
  patch("a status by the object", one, { status: { replicas: 9 } }, MERGE),
  patch("null for a default", `${one}?dryRun=All`, { spec: { revisionHistoryLimit: null } }, MERGE),
  patch("force of a merge", `${one}?force=true`, {}, MERGE),
  patch("JSON: replace", one, [{ op: "replace", path: "/spec/replicas", value: 3 }], JSON_PATCH),
  patch("JSON: an unknown operation", one, [{ op: "x", path: "/spec" }], JSON_PATCH),
  patch("JSON: remove nothing", one, [{ op: "remove", path: "/spec/nothing" }], JSON_PATCH),
  patch(
    "JSON: add past the end",
    one,
    [{ op: "add", path: "/spec/template/spec/containers/9", value: {} }],
    JSON_PATCH,
  ),
  patch("JSON: no list", one, { op: "add" }, JSON_PATCH),
  patch("JSON: without a path", one, [{ op: "add", value: 1 }], JSON_PATCH),
  patch(
    "JSON: move",
    one,
    [{ op: "move", from: "/metadata/labels/x", path: "/metadata/labels/z" }],
    JSON_PATCH,
  ),
  patch(
    "JSON: copy",
    one,
    [{ op: "copy", from: "/metadata/labels/z", path: "/metadata/labels/w" }],
    JSON_PATCH,
  ),
];

const applied = (name: string, value: object, metadata: object = {}) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name, ...metadata },
  ...value,
});
const applies: Step[] = [
  patch(
    "apply: create",
    `${APPS}/e?fieldManager=m1`,
    applied("e", { spec: deployment("e").spec }),
    APPLY,
  ),
  patch(
    "apply: the same",
    `${APPS}/e?fieldManager=m1`,
    applied("e", { spec: deployment("e").spec }),
    APPLY,
  ),
  patch(
    "apply: a conflict",
    `${APPS}/e?fieldManager=m2`,
    applied("e", { spec: { replicas: 5 } }),
    APPLY,
  ),
  patch(
    "apply: two conflicts",
    `${APPS}/e?fieldManager=m2`,
    applied("e", {
      spec: { replicas: 5, template: { spec: { containers: [{ name: "one", image: "x" }] } } },
    }),
    APPLY,
  ),
  patch(
    "apply: by force",
    `${APPS}/e?fieldManager=m2&force=true`,
    applied("e", { spec: { replicas: 5 } }),
    APPLY,
  ),
  patch(
    "apply: shared",
    `${APPS}/e?fieldManager=m3`,
    applied("e", { spec: { replicas: 5 } }),
    APPLY,
  ),
  patch("apply: let go", `${APPS}/e?fieldManager=m2`, applied("e", {}), APPLY),
  patch(
    "apply: remove a container",
    `${APPS}/e?fieldManager=m1`,
    applied("e", {
      spec: { selector: deployment("e").spec.selector, template: template([container("one")]) },
    }),
    APPLY,
  ),
  patch("apply: of another name", `${APPS}/e?fieldManager=m1`, applied("f", {}), APPLY),
  patch(
    "apply: managed fields",
    `${APPS}/e?fieldManager=m1`,
    applied("e", {}, { managedFields: [{ manager: "x" }] }),
    APPLY,
  ),
  patch("apply: without a kind", `${APPS}/e?fieldManager=m1`, { metadata: { name: "e" } }, APPLY),
  patch(
    "apply: a doubled key",
    `${APPS}/e?fieldManager=m1`,
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: e, name: e}\n",
    APPLY,
  ),
  patch(
    "apply: a doubled container",
    `${APPS}/e?fieldManager=m1`,
    applied("e", {
      spec: { template: { spec: { containers: [container("one"), container("one")] } } },
    }),
    APPLY,
  ),
  patch(
    "apply: a wrong type",
    `${APPS}/e?fieldManager=m1`,
    applied("e", { spec: { replicas: "x" } }),
    APPLY,
  ),
  patch(
    "apply: a long manager",
    `${APPS}/e?fieldManager=${"m".repeat(129)}`,
    applied("e", {}),
    APPLY,
  ),
  patch(
    "apply: a revision of old",
    `${APPS}/e?fieldManager=m1`,
    applied("e", {}, { resourceVersion: "1" }),
    APPLY,
  ),
  patch(
    "apply: with a uid, creates nothing",
    `${APPS}/g?fieldManager=m1`,
    applied("g", {}, { uid: "x" }),
    APPLY,
  ),
  patch(
    "apply: the status",
    `${APPS}/e/status?fieldManager=m4`,
    applied("e", { status: { replicas: 1 } }),
    APPLY,
  ),
  patch(
    "apply: dry",
    `${APPS}/h?fieldManager=m1&dryRun=All`,
    applied("h", { spec: deployment("h").spec }),
    APPLY,
  ),
];

const SCALE = { apiVersion: "autoscaling/v1", kind: "Scale" };
const subresources: Step[] = [
  step("scale: get", "GET", `${one}/scale`),
  step("scale: put", "PUT", `${one}/scale`, {
    ...SCALE,
    metadata: { name: "d", namespace: "objects" },
    spec: { replicas: 4 },
  }),
  step("scale: below nothing", "PUT", `${one}/scale`, {
    ...SCALE,
    metadata: { name: "d", namespace: "objects" },
    spec: { replicas: -4 },
  }),
  patch("scale: patch", `${one}/scale`, { spec: { replicas: 1 } }, MERGE),
  step("scale: another name", "PUT", `${one}/scale`, {
    ...SCALE,
    metadata: { name: "x" },
    spec: { replicas: 1 },
  }),
  step("scale: of nothing", "GET", `${APPS}/nope/scale`),
  post("pod", `${NS}/pods`, pod("p")),
  post("binding of nothing", `${NS}/pods/nope/binding`, {
    metadata: { name: "nope" },
    target: { kind: "Node", name: "n" },
  }),
  post("binding to no node", `${NS}/pods/p/binding`, {
    metadata: { name: "p" },
    target: { kind: "Node", name: "" },
  }),
  post("binding to a pod", `${NS}/pods/p/binding`, {
    metadata: { name: "p" },
    target: { kind: "Pod", name: "x" },
  }),
  post("binding", `${NS}/pods/p/binding`, {
    metadata: { name: "p" },
    target: { kind: "Node", name: "n" },
  }),
  post("binding again", `${NS}/pods/p/binding`, {
    metadata: { name: "p" },
    target: { kind: "Node", name: "m" },
  }),
  step("bound pod", "GET", `${NS}/pods/p`),
  post("eviction of nothing", `${NS}/pods/nope/eviction`, { metadata: { name: "nope" } }),
  post("eviction of another", `${NS}/pods/p/eviction`, { metadata: { name: "q" } }),
  post("eviction, dry", `${NS}/pods/p/eviction?dryRun=All`, { metadata: { name: "p" } }),
  patch(
    "image",
    `${NS}/pods/p`,
    { spec: { containers: [{ name: "main", image: "main:2" }] } },
    STRATEGIC,
  ),
  patch("host network", `${NS}/pods/p`, { spec: { hostNetwork: true } }, MERGE),
  patch(
    "a second container",
    `${NS}/pods/p`,
    { spec: { containers: [container("more")] } },
    STRATEGIC,
  ),
  patch(
    "ephemeral by the pod",
    `${NS}/pods/p`,
    { spec: { ephemeralContainers: [container("debug")] } },
    STRATEGIC,
  ),
  patch(
    "ephemeral",
    `${NS}/pods/p/ephemeralcontainers`,
    { spec: { ephemeralContainers: [container("debug")] } },
    STRATEGIC,
  ),
  patch(
    "ephemeral with ports",
    `${NS}/pods/p/ephemeralcontainers`,
    { spec: { ephemeralContainers: [container("debug2", { ports: [{ containerPort: 1 }] })] } },
    STRATEGIC,
  ),
  patch(
    "resize",
    `${NS}/pods/p/resize`,
    { spec: { containers: [{ name: "main", resources: { requests: { cpu: "1" } } }] } },
    STRATEGIC,
  ),
  patch(
    "grace below nothing",
    `${NS}/pods/p`,
    { spec: { terminationGracePeriodSeconds: -1 } },
    MERGE,
  ),
  patch(
    "a toleration",
    `${NS}/pods/p`,
    { spec: { tolerations: [{ key: "x", operator: "Exists" }] } },
    STRATEGIC,
  ),
  post("token", `${NS}/serviceaccounts/default/token?dryRun=All`, {
    spec: { expirationSeconds: 5 },
  }),
  post("token of nothing", `${NS}/serviceaccounts/nope/token`, { spec: {} }),
  post("token bound to a node", `${NS}/serviceaccounts/default/token`, {
    spec: { boundObjectRef: { kind: "Node", apiVersion: "v1", name: "nope" } },
  }),
  post("token bound to a map", `${NS}/serviceaccounts/default/token`, {
    spec: { boundObjectRef: { kind: "ConfigMap", apiVersion: "v1", name: "x" } },
  }),
  step("log of nothing", "GET", `${NS}/pods/nope/log`),
  step("log of an unknown container", "GET", `${NS}/pods/p/log?container=x`),
  step("log with bad lines", "GET", `${NS}/pods/p/log?tailLines=-1`),
  step(
    "log since two times",
    "GET",
    `${NS}/pods/p/log?sinceSeconds=1&sinceTime=2024-01-01T00:00:00Z`,
  ),
  step("exec without an upgrade", "GET", `${NS}/pods/p/exec?command=ls&container=nope`),
  step("namespace: finalize", "PUT", "/api/v1/namespaces/objects/finalize", {
    metadata: { name: "objects" },
    spec: { finalizers: ["kubernetes"] },
  }),
];

const deletes: Step[] = [
  post("finalized", `${NS}/configmaps`, { metadata: { name: "f", finalizers: ["example.com/f"] } }),
  step("delete what is finalized", "DELETE", `${NS}/configmaps/f`),
  patch(
    "a new finalizer",
    `${NS}/configmaps/f`,
    { metadata: { finalizers: ["example.com/f", "example.com/g"] } },
    MERGE,
  ),
  patch("a change while it goes", `${NS}/configmaps/f`, { data: { a: "b" } }, MERGE),
  patch("no finalizer", `${NS}/configmaps/f`, { metadata: { finalizers: null } }, MERGE),
  step("gone", "GET", `${NS}/configmaps/f`),
  post("foreground", `${NS}/configmaps`, { metadata: { name: "fg" } }),
  step("delete in the foreground", "DELETE", `${NS}/configmaps/fg`, {
    propagationPolicy: "Foreground",
  }),
  step("delete it in the background", "DELETE", `${NS}/configmaps/fg`, {
    propagationPolicy: "Background",
  }),
  step("both ways of orphans", "DELETE", `${NS}/configmaps/fg`, {
    propagationPolicy: "Orphan",
    orphanDependents: true,
  }),
  step("a bad grace", "DELETE", `${NS}/pods/p?gracePeriodSeconds=x`),
  step("a bad body", "DELETE", `${NS}/pods/p`, "{"),
  step("delete with grace", "DELETE", `${NS}/pods/p`, { gracePeriodSeconds: 5 }),
  step("delete with less", "DELETE", `${NS}/pods/p`, { gracePeriodSeconds: 3 }),
  step("delete with more", "DELETE", `${NS}/pods/p`, { gracePeriodSeconds: 30 }),
  step("delete at once", "DELETE", `${NS}/pods/p`, { gracePeriodSeconds: 0 }),
  ...["x", "y"].map((name) =>
    post(`collected ${name}`, `${NS}/configmaps`, { metadata: { name, labels: { c: "1" } } }),
  ),
  step("collection, dry", "DELETE", `${NS}/configmaps?labelSelector=c&dryRun=All`),
  step("collection", "DELETE", `${NS}/configmaps?labelSelector=c`),
  step("collection of an unknown field", "DELETE", `${NS}/configmaps?fieldSelector=a%3Db`),
  step("default", "DELETE", "/api/v1/namespaces/default"),
  step("system", "DELETE", "/api/v1/namespaces/kube-system"),
];

export const objectSteps: readonly Step[] = [
  ...before,
  ...patches,
  ...applies,
  ...subresources,
  ...deletes,
];
