/** The rows of `docs/api-features.md`: what is promised, and which tests show it. */

export interface Row {
  readonly what: string;
  /** Of `file > describe > test`. */
  readonly tests?: string;
  /** Why it is not there, and what is answered instead. */
  readonly not?: string;
}

const row = (what: string, tests: string): Row => ({ what, tests });
const missing = (what: string, not: string): Row => ({ what, not });

const kinds: Row[] = [
  row("Every kind and version: answers equal to Kubernetes' own, by every verb", "upstream\\.test"),
  row("Defaults, validation and columns in the words of Kubernetes", "kinds\\.golden"),
  row("Every built-in kind passes one suite", "resources/kinds\\.test|kinds\\.words"),
];

const protocol: Row[] = [
  row("Create, get, update; names, generateName, namespaces", "objects\\.test.*(create|update)"),
  row("`fieldValidation` Strict, Warn, Ignore", "stray fields|unknown fields are refused"),
  row("Dry run, of every verb and subresource", "dry run|api/dryruns"),
  row("Generation and status", "generation and status"),
  row("Label and field selectors", "lists\\.test.*selectors|selector\\.test"),
  row(
    "Pages, `continue` after compaction, `resourceVersionMatch`",
    "lists\\.test.*pages|api/compaction",
  ),
  row(
    "Table, PartialObjectMetadata, YAML, gzip, pretty",
    "(lists|watch)\\.test.*forms|answers\\.test.*(long|form)",
  ),
  row(
    "Watch: bookmarks, `sendInitialEvents`, 410, slow watchers",
    "api/watch\\.test|direct\\.test",
  ),
  row("JSON, merge and strategic patch", "patches\\.test.*> patches|resources/patch\\.test"),
  row("Server-side apply: managed fields, conflicts, force", "server-side apply|managed\\.test"),
  row(
    "Deletion: grace, finalizers, propagation, preconditions, collections",
    "deletes\\.test|controllers/garbage\\.test",
  ),
  row("Eviction and disruption budgets", "deletes\\.test.*eviction"),
  row("Conversion between served versions", "convert\\.test"),
  row(
    "Discovery, OpenAPI v2 and v3",
    "openapi\\.test|kubectl-(api|verbs).*explain|answers\\.test.*documents",
  ),
  row("Protobuf: requests, answers, watch frames", "protobuf\\.test"),
  row("Warnings, in the words of Kubernetes", "upstream\\.test.*Endpoints|warnings\\.test"),
  missing("CBOR", "406 and 415, so that clients go back to JSON (`upstream.test.ts`)"),
  row(
    "exec, attach, port-forward, logs, proxy",
    "api/streams\\.test|api/spdy\\.test|e2e/attach\\.test",
  ),
  missing("attach: errors apart from the output", "both come as output: they share a pod's log"),
];

const extension: Row[] = [
  row("CustomResourceDefinitions: schemas, pruning, defaults, columns, scale", "custom\\.test"),
  row("Null: dropped, kept, or given way to a default", "custom.*null "),
  row("CEL rules, their functions and costs", "api/cel/|custom\\.test.*rules"),
  row(
    "Long CEL rules and policies hold nobody up",
    "takes? long(,| >|:)|in many turns|costs little",
  ),
  row("Webhook conversion, several versions", "convert\\.test|custom\\.test.*versions"),
  row("API aggregation", "aggregation\\.test"),
  row("Mutating and validating webhooks", "webhooks\\.test"),
  row("ValidatingAdmissionPolicy", "policies\\.test"),
  missing(
    "MutatingAdmissionPolicy",
    "beta, and off by default in v1.34: 404 (`component/api/answers.test.ts`)",
  ),
];

const security: Row[] = [
  row(
    "Tokens, service accounts, TokenRequest, TokenReview",
    "access\\.test.*(who|token)|rights\\.test.*a token",
  ),
  row("Client certificates", "listener\\.test.*client certificates"),
  row("RBAC, escalation, impersonation, reviews", "access\\.test.*who may|rights(?!.*a token)"),
  row(
    "Admission: accounts, limits, quotas, pod security, classes, nodes",
    "admission\\.test|scopes\\.test",
  ),
  row("Pod Security Standards, every level and version", "podsecurity"),
  row(
    "Certificate requests and their signers",
    "controllers/csr|e2e/certificates|verbs.*certificate",
  ),
  row("Priority and fairness", "flowcontrol\\.test"),
  row("Audit log", "/audit"),
  row("Annotations in the audit log, and Pod Security's mode `audit`", "auditnotes"),
  row("Secrets encrypted at rest, their keys changed", "[Ee]ncrypt|seal"),
];

const clients: Row[] = [
  row("kubectl: verbs and generators", "kubectl-verbs|kubectl-api"),
  row("kubectl and bramble side by side, with a node", "e2e/(verbs|kubectl)\\.test"),
  row("@kubernetes/client-node", "clientnode"),
  row("client-go", "suites/clients.*client-go"),
  row("Python `kubernetes`", "suites/clients.*Python"),
  row("helm: install, upgrade, rollback, uninstall", "helm"),
  row("schemathesis on our own OpenAPI documents", "suites/fuzz"),
  row("Odd bodies, kind by kind", "api/fuzz\\.test"),
];

const bounds: Row[] = [
  row("In flight, 429; sizes of bodies, headers, patches", "listener\\.test.*bounds"),
  row("A long list holds nobody up", "api/turns\\.test"),
];

export const features: ReadonlyArray<readonly [string, readonly Row[]]> = [
  ["Kinds", kinds],
  ["Protocol", protocol],
  ["Extension", extension],
  ["Security", security],
  ["Bounds", bounds],
  ["Clients", clients],
];
