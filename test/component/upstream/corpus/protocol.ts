/** Lists, watches, content types, discovery: what is not about any one kind. */
import type { Step } from "../ask.ts";

const ALL = "/api/v1/namespaces/protocol/configmaps";
const JSON_TYPE = "application/json";

const get = (name: string, path: string, accept = JSON_TYPE): Step => ({
  name: `protocol: ${name}`,
  method: "GET",
  path,
  accept,
});

const make = (name: string, path: string, body: unknown): Step => ({
  name: `protocol: ${name}`,
  method: "POST",
  path,
  body,
});

const named = (name: string, labels: Record<string, string> = {}) => ({
  metadata: { name, labels },
  data: { k: name },
});

const before: Step[] = [
  make("namespace", "/api/v1/namespaces", { metadata: { name: "protocol" } }),
  ...["a", "b", "c", "d"].map((name, index) =>
    make(`make ${name}`, ALL, named(name, { even: String(index % 2), app: "web" })),
  ),
];

const SELECTORS = [
  "app=web",
  "app==web",
  "app!=web",
  "app in (web,api),even=0",
  "app notin (web)",
  "app",
  "!app",
  "even>0",
  "even<x",
  "app in ()",
  "app=web,",
  ",app",
  "app web",
  "app=(",
  "-a=b",
  "a=b c",
  "a/b/c=d",
  "app in (web",
  "even in (0,1),!nothing",
  "(",
];

const FIELDS = [
  "metadata.name=a",
  "metadata.name!=a",
  "metadata.name==a,metadata.namespace=protocol",
  "metadata.name",
  "metadata.name=a=b",
  "metadata.name in (a)",
  "data.k=a",
  "",
];

const LISTS = [
  "limit=2",
  "limit=-1",
  "limit=x",
  "limit=0",
  "continue=x",
  "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhXHUwMDAwIn0",
  "resourceVersion=x",
  "resourceVersion=0",
  "resourceVersion=0&limit=1",
  "resourceVersion=-1",
  "resourceVersionMatch=Exact",
  "resourceVersionMatch=NotOlderThan",
  "resourceVersion=0&resourceVersionMatch=Exact",
  "resourceVersion=0&resourceVersionMatch=NotOlderThan",
  "resourceVersion=1&resourceVersionMatch=Some",
  "resourceVersion=1&resourceVersionMatch=Exact",
  "resourceVersionMatch=Exact&continue=x",
  "resourceVersion=1&continue=x",
  "sendInitialEvents=true",
  "allowWatchBookmarks=true",
  "timeoutSeconds=x",
  "timeoutSeconds=1",
  "pretty=true",
  "unknown=1",
];

const WATCHES = [
  "watch=1&timeoutSeconds=1&resourceVersion=0",
  "watch=true&timeoutSeconds=1",
  "watch=1&timeoutSeconds=1&resourceVersion=0&labelSelector=even%3D0",
  "watch=1&timeoutSeconds=1&resourceVersion=0&fieldSelector=metadata.name%3Da",
  "watch=1&timeoutSeconds=1&sendInitialEvents=true",
  "watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=Exact",
  "watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
  "watch=1&timeoutSeconds=1&resourceVersionMatch=NotOlderThan",
  "watch=1&timeoutSeconds=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan",
  "watch=1&timeoutSeconds=1&continue=x",
  "watch=1&timeoutSeconds=1&sendInitialEvents=x",
  "watch=1&timeoutSeconds=x",
  "watch=1&timeoutSeconds=1&labelSelector=a%3D%3D%3D",
];

const TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io";
const ACCEPTS = [
  "*/*",
  "text/plain",
  "application/cbor",
  "application/cbor,application/json",
  "application/yaml",
  "application/json;as=Table;v=v2;g=meta.k8s.io",
  "application/json;as=Nothing;v=v1;g=meta.k8s.io",
  "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
  "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
  `${TABLE},application/json`,
  "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
];

const CONTENT: Array<[string, string, unknown]> = [
  ["YAML", "application/yaml", "metadata: {name: from-yaml}\ndata: {a: b}\n"],
  ["bad YAML", "application/yaml", "metadata: {name: x\n"],
  ["YAML of a list", "application/yaml", "- a\n"],
  ["CBOR", "application/cbor", "x"],
  ["XML", "text/xml", "<a/>"],
  ["JSON of another charset", "application/json; charset=utf-8", named("from-charset")],
  ["nothing", JSON_TYPE, ""],
  ["null", JSON_TYPE, "null"],
  ["a string", JSON_TYPE, '"x"'],
  ["a doubled field", JSON_TYPE, '{"metadata":{"name":"doubled"},"data":{"a":"1","a":"2"}}'],
  ["a number for a string", JSON_TYPE, '{"metadata":{"name":"n1"},"data":{"a":1}}'],
  ["a list for a map", JSON_TYPE, '{"metadata":{"name":"n1"},"data":[]}'],
  ["null for a map", JSON_TYPE, '{"metadata":{"name":"null-data"},"data":null}'],
  ["bad base64", JSON_TYPE, '{"metadata":{"name":"n2"},"binaryData":{"a":"%%"}}'],
  ["a bad time", JSON_TYPE, '{"metadata":{"name":"n3","creationTimestamp":"x"}}'],
  ["another namespace", JSON_TYPE, { metadata: { name: "n4", namespace: "other" } }],
  ["a revision", JSON_TYPE, { metadata: { name: "n5", resourceVersion: "5" } }],
  ["generateName", JSON_TYPE, { metadata: { generateName: "gen-" } }],
  ["a bad generateName", JSON_TYPE, { metadata: { generateName: "A_b" } }],
  ["a long name", JSON_TYPE, { metadata: { name: "x".repeat(254) } }],
  ["a bad annotation", JSON_TYPE, { metadata: { name: "n6", annotations: { "a b": "c" } } }],
  ["a bad finalizer", JSON_TYPE, { metadata: { name: "n7", finalizers: ["x"] } }],
  [
    "two controllers",
    JSON_TYPE,
    {
      metadata: {
        name: "n8",
        ownerReferences: ["u1", "u2"].map((uid) => ({
          apiVersion: "v1",
          kind: "Pod",
          name: "p",
          uid,
          controller: true,
        })),
      },
    },
  ],
  [
    "an owner of nothing",
    JSON_TYPE,
    { metadata: { name: "n9", ownerReferences: [{ apiVersion: "a/b/c", kind: "", name: "" }] } },
  ],
  [
    "somebody's fields",
    JSON_TYPE,
    { metadata: { name: "n10", managedFields: [{ operation: "x", fieldsType: "y" }] } },
  ],
];

const PATHS = [
  "/",
  "/api",
  "/apis",
  "/apis/apps",
  "/apis/apps/v1",
  "/apis/apps/v2",
  "/apis/nothing",
  "/apis/nothing/v1",
  "/api/v1",
  "/api/v2",
  "/api/v1/nothing",
  "/api/v1/namespaces/protocol/nothing",
  "/api/v1/namespaces/protocol/configmaps/a/b/c",
  "/api/v1/namespaces/nope/configmaps",
  "/api/v1/namespaces/nope/configmaps/a",
  "/apis/apps/v1/namespaces/protocol/deployments/x/scale",
  "/nothing",
  "/healthz",
  "/livez",
  "/readyz",
  "/livez/ping",
  "/livez/nothing",
  "/readyz?exclude=nothing",
  "/openid/v1/jwks/x",
  "/openapi/v3/nothing",
  "/api/v1/configmaps?limit=1&fieldSelector=metadata.namespace%3Dprotocol",
  "/api/v1/namespaces/protocol/configmaps/a?resourceVersion=x",
  "/api/v1/namespaces/protocol/configmaps/a?resourceVersion=0",
  "/api/v1/namespaces/protocol/configmaps/a?resourceVersion=99999999",
];

const METHODS: Array<[string, string]> = [
  ["PUT", ALL],
  ["PATCH", ALL],
  ["POST", `${ALL}/a`],
  ["POST", "/api/v1/configmaps"],
  ["DELETE", "/api/v1/configmaps"],
  ["OPTIONS", ALL],
  ["DELETE", "/apis/apps"],
  ["POST", "/version"],
  ["PUT", "/api/v1/namespaces/protocol/configmaps/a/status"],
  ["DELETE", "/api/v1/namespaces/protocol/pods/x/status"],
];

const GROUPS = [
  ["admissionregistration.k8s.io", "v1"],
  ["apiextensions.k8s.io", "v1"],
  ["apiregistration.k8s.io", "v1"],
  ["authentication.k8s.io", "v1"],
  ["authorization.k8s.io", "v1"],
  ["autoscaling", "v1"],
  ["autoscaling", "v2"],
  ["batch", "v1"],
  ["certificates.k8s.io", "v1"],
  ["coordination.k8s.io", "v1"],
  ["discovery.k8s.io", "v1"],
  ["events.k8s.io", "v1"],
  ["flowcontrol.apiserver.k8s.io", "v1"],
  ["networking.k8s.io", "v1"],
  ["node.k8s.io", "v1"],
  ["policy", "v1"],
  ["rbac.authorization.k8s.io", "v1"],
  ["resource.k8s.io", "v1"],
  ["scheduling.k8s.io", "v1"],
  ["storage.k8s.io", "v1"],
];

const query = (words: string): string => words.replaceAll("&", " ");

export const protocolSteps: readonly Step[] = [
  ...before,
  ...SELECTORS.map((text) =>
    get(`labels ${text}`, `${ALL}?labelSelector=${encodeURIComponent(text)}`),
  ),
  ...FIELDS.map((text) =>
    get(`fields ${text}`, `${ALL}?fieldSelector=${encodeURIComponent(text)}`),
  ),
  ...LISTS.map((text) => get(`list ${query(text)}`, `${ALL}?${text}`)),
  ...WATCHES.map((text) => get(`watch ${query(text)}`, `${ALL}?${text}`)),
  get(
    "watch by its old path",
    "/api/v1/watch/namespaces/protocol/configmaps?timeoutSeconds=1&fieldSelector=metadata.name%3Db",
  ),
  get("watch a table", `${ALL}?${WATCHES[0]}`, TABLE),
  get(
    "watch metadata",
    `${ALL}?${WATCHES[0]}`,
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
  ),
  ...ACCEPTS.flatMap((accept) => [
    get(`list as ${accept}`, ALL, accept),
    get(`get as ${accept}`, `${ALL}/a`, accept),
  ]),
  ...["Object", "Metadata", "None", "Some"].map((include) =>
    get(`table with ${include}`, `${ALL}/a?includeObject=${include}`, TABLE),
  ),
  ...CONTENT.map(([name, type, body]) => ({ ...make(`create of ${name}`, ALL, body), type })),
  ...CONTENT.slice(8, 13).map(([name, type, body]) => ({
    ...make(`strictly, ${name}`, `${ALL}?fieldValidation=Strict&dryRun=All`, body),
    type,
  })),
  ...PATHS.map((path) => get(`path ${path}`, path)),
  ...METHODS.map(([method, path]) => ({ name: `protocol: ${method} ${path}`, method, path })),
  ...GROUPS.map(([group, version]) =>
    get(`resources of ${group}/${version}`, `/apis/${group}/${version}`),
  ),
  ...["/api", "/apis"].map((path) =>
    get(
      `aggregated ${path}`,
      path,
      "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
    ),
  ),
];
