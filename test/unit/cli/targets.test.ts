import { expect, test } from "bun:test";
import { findResource, findResources, type Resource } from "#cli/resources.ts";
import { daemonSetProgress, deploymentProgress } from "#cli/rollout/status.ts";
import { parseSelections } from "#cli/targets.ts";
import { namesObjects } from "#cli/verbs/delete.ts";
import type { Stored } from "#resources/meta.ts";
import type { DaemonSet, Deployment } from "#resources/types.gen.ts";

const resource = (group: string, version: string, kind: string, more: Partial<Resource> = {}) => ({
  group,
  version,
  kind,
  plural: `${kind.toLowerCase()}s`,
  singular: kind.toLowerCase(),
  namespaced: true,
  shortNames: [],
  categories: [],
  verbs: ["get", "list"],
  subresources: [],
  ...more,
});

const all: Resource[] = [
  resource("", "v1", "Pod", { shortNames: ["po"], categories: ["all"] }),
  resource("", "v1", "Event", { shortNames: ["ev"] }),
  resource("events.k8s.io", "v1", "Event", { shortNames: ["ev"] }),
  resource("apps", "v1", "Deployment", { shortNames: ["deploy"], categories: ["all"] }),
  resource("autoscaling", "v2", "Scaler", { categories: ["all"] }),
  resource("autoscaling", "v1", "Scaler", { categories: ["all"] }),
];

test("a type is named in many ways, the core group and preferred versions first", () => {
  for (const word of ["pods", "pod", "Pod", "po"])
    expect(findResource(all, word)).toEqual(
      resource("", "v1", "Pod", { shortNames: ["po"], categories: ["all"] }),
    );
  expect(findResource(all, "events").group).toBe("");
  expect(findResource(all, "events.events.k8s.io").group).toBe("events.k8s.io");
  expect(findResource(all, "deployments.apps").kind).toBe("Deployment");
  expect(findResource(all, "deploy.v1.apps").kind).toBe("Deployment");
  expect(findResource(all, "scalers").version).toBe("v2");
  expect(findResource(all, "scalers.v1.autoscaling").version).toBe("v1");
  expect(() => findResource(all, "gadgets.x")).toThrow(
    `the server doesn't have a resource type "gadgets"`,
  );
});

test("a category is each of its types once", () => {
  expect(findResources(all, "all").map(({ kind }) => kind)).toEqual([
    "Pod",
    "Deployment",
    "Scaler",
  ]);
});

test("types and names come apart, or with a slash, but not mixed", () => {
  const names = (...args: string[]) =>
    parseSelections(all, args).map(({ resource: { kind }, names }) => [kind, ...names]);
  expect(names("pods", "a", "b")).toEqual([["Pod", "a", "b"]]);
  expect(names("po,deploy", "a")).toEqual([
    ["Pod", "a"],
    ["Deployment", "a"],
  ]);
  expect(names("pod/a", "deploy/b")).toEqual([
    ["Pod", "a"],
    ["Deployment", "b"],
  ]);
  expect(() => names("pod/a", "b")).toThrow(/^there is no need to specify a resource type/);
  expect(() => names("pod/")).toThrow(/must have a single resource and name/);
});

test("delete means the cluster only where nothing speaks of objects", () => {
  expect(namesObjects([], { cascade: "background", all: false, force: false })).toBe(false);
  for (const options of [{ all: true }, { selector: "a=b" }, { namespace: "x" }, { force: true }]) {
    expect(namesObjects([], options)).toBe(true);
  }
  expect(namesObjects(["pod"], {})).toBe(true);
});

const deployment = (status: Deployment["status"], generation = 2) =>
  ({ metadata: { name: "web", generation }, spec: { replicas: 3 }, status }) as Stored<Deployment>;

test("a rollout is told step by step", () => {
  const text = (status: Deployment["status"]) => deploymentProgress(deployment(status)).text;
  expect(text({ observedGeneration: 1 })).toContain("spec update to be observed");
  const seen = { observedGeneration: 2 };
  expect(text({ ...seen, updatedReplicas: 1 })).toContain("1 out of 3 new replicas");
  expect(text({ ...seen, replicas: 4, updatedReplicas: 3 })).toContain(
    "1 old replicas are pending",
  );
  const almost = { ...seen, replicas: 3, updatedReplicas: 3, availableReplicas: 2 };
  expect(text(almost)).toContain("2 of 3 updated replicas are available");
  const done = deploymentProgress(deployment({ ...almost, availableReplicas: 3 }));
  expect(done).toEqual({ text: `deployment "web" successfully rolled out`, done: true });
  const late = { type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded" };
  expect(() => text({ ...seen, conditions: [late] })).toThrow("exceeded its progress deadline");
});

test("a strategy that does not roll has no progress", () => {
  const spec = { updateStrategy: { type: "OnDelete" } };
  const set = { metadata: { name: "ds" }, spec } as Stored<DaemonSet>;
  expect(() => daemonSetProgress(set)).toThrow("only available for RollingUpdate");
});
