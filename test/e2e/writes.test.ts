/**
 * What a rolled pod writes, on a real node, by the server's own audit log: each write by kind and
 * verb, beside what Kubernetes' own components write for a pod that starts and for one that ends.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { webManifest } from "#test/e2e/web.ts";
import { eventually, type Instance, startInstance } from "#test/support/instance.ts";

const PODS = 10;

/** Events and Leases are of no one pod, and lazy. */
const POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, verbs: [get, list, watch]}
- {level: None, resources: [{group: "", resources: [events]}, {group: events.k8s.io}]}
- {level: None, resources: [{group: coordination.k8s.io}]}
- {level: None, namespaces: [kube-system, kube-node-lease]}
- {level: Metadata}
`;

/**
 * The same by Kubernetes' own: of a pod that starts (create, bind, two or three of its status, the
 * endpoint slice, the set's status), and of one that ends (its deletion and its removal, its end,
 * its network and that the deletion was seen, the slice, the set). [the least, the most]
 */
const KUBERNETES: Readonly<Record<string, readonly [number, number]>> = {
  "create pods": [1, 1],
  "create pods/binding": [1, 1],
  "patch pods/status": [4, 6],
  "patch endpointslices": [2, 2],
  "patch replicasets/status": [2, 2],
  "delete pods": [2, 2],
};
const total = (of: (kind: string) => number): number =>
  Object.keys(KUBERNETES).reduce((all, kind) => all + of(kind), 0);

/** Ready as soon as they run: what a probe finds later is a write more, here and there. */
const MANIFEST = webManifest({ replicas: PODS }).replace(/ *readinessProbe.*\n/, "");

const dir = mkdtempSync(join(tmpdir(), "bramble-writes-"));
const [policy, log] = [join(dir, "policy.yaml"), join(dir, "audit.log")];

let cluster: Instance;
beforeAll(async () => {
  writeFileSync(policy, POLICY);
  const flags = ["--audit-policy-file", policy, "--audit-log-path", log];
  cluster = await startInstance({ name: "writes", images: ["1"], flags });
  await cluster.apply(MANIFEST);
  await rolledOut();
}, 360_000);
afterAll(async () => {
  await cluster?.close();
  rmSync(dir, { recursive: true, force: true });
}, 180_000);

interface Write {
  readonly verb: string;
  readonly objectRef: { resource: string; subresource?: string };
  readonly responseStatus: { code: number };
}

/** `patch pods/status`, as often as it was written. */
function writes(): string[] {
  const lines = readFileSync(log, "utf8").split("\n");
  const all = lines.filter((line) => line !== "").map((line): Write => JSON.parse(line));
  return all
    .filter(({ responseStatus }) => responseStatus.code < 300)
    .map(({ verb, objectRef: { resource, subresource } }) =>
      subresource ? `${verb} ${resource}/${subresource}` : `${verb} ${resource}`,
    );
}

/** Complete, the old pods gone, and nothing written for a while. */
async function rolledOut(): Promise<void> {
  await cluster.must("rollout", "status", "deployment/web", "--timeout=120s");
  await eventually("no other pod is left", 60_000, async () => {
    const names = await cluster.must("get", "pods", "-o", "name");
    return names.trim().split("\n").length === PODS;
  });
  let [count, since] = [-1, 0];
  await eventually("nothing is written", 60_000, async () => {
    const now = writes().length;
    if (now !== count) [count, since] = [now, performance.now()];
    return performance.now() - since > 2_000;
  });
}

const per = (count: number): string => (count / PODS).toFixed(1).padStart(5);

function tableOf(counts: ReadonlyMap<string, number>): string {
  const rows = [...counts].map(([kind, count]) => {
    const [least, most] = KUBERNETES[kind] ?? [];
    const theirs = least === most ? `${least ?? ""}` : `${least}-${most}`;
    return `${kind.padEnd(28)} ${per(count)}   ${theirs}`.trimEnd();
  });
  const sums = [0, 1].map((at) => total((kind) => KUBERNETES[kind]?.[at] ?? 0));
  const ours = per(total((kind) => counts.get(kind) ?? 0));
  const last = `${"those that both count".padEnd(28)} ${ours}   ${sums.join("-")}`;
  return [`${"a rolled pod".padEnd(28)} here    Kubernetes`, ...rows, last].join("\n");
}

test("a rolled pod writes less than it does by Kubernetes' own components", async () => {
  const before = writes().length;
  await cluster.must("set", "env", "deployment/web", "ROUND=2");
  await rolledOut();
  const counts = new Map<string, number>();
  for (const kind of writes().slice(before).sort()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  console.log(tableOf(counts));
  expect(counts.get("create pods")).toBe(PODS);
  // A start that takes long on a busy machine is told of once more, by theirs as by ours.
  const theirs = total((kind) => KUBERNETES[kind]?.[1] ?? 0);
  expect(total((kind) => counts.get(kind) ?? 0) / PODS).toBeLessThan(theirs);
}, 360_000);
