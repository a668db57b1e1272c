/**
 * Deleting a pod as far as its disruption budget allows.
 * https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
 */
import { checkNodeEviction } from "#api/admission/nodepods.ts";
import { peek } from "#api/codec.ts";
import { type Call, type Core, timestamp } from "#api/core.ts";
import { readAdopted } from "#api/decode.ts";
import { type DeleteOptions, deleteObject } from "#api/delete.ts";
import { ApiError, refuse } from "#api/errors.ts";
import { metadataOf } from "#api/meta.ts";
import { mustGet } from "#api/read.ts";
import { describe } from "#api/registry.ts";
import { success } from "#api/respond.ts";
import type { Subresource } from "#api/subresources/subresource.ts";
import { place } from "#api/verbs.ts";
import { isDryRun, updateObject } from "#api/write.ts";
import { must } from "#base/assert.ts";
import { defineKind } from "#resources/kind.ts";
import type { Stored } from "#resources/meta.ts";
import { matchLabelSelector } from "#resources/selector.ts";
import type { Eviction, Pod, PodDisruptionBudget } from "#resources/types.gen.ts";

const EVICTION = describe(
  defineKind<Eviction>({
    group: "policy",
    version: "v1",
    kind: "Eviction",
    plural: "evictions",
    namespaced: true,
    schema: "io.k8s.api.policy.v1.Eviction",
  }),
);

const BUDGETS = { group: "policy", plural: "poddisruptionbudgets", kind: "PodDisruptionBudget" };
const DISRUPTED_PODS_MAX = 2000;
const WOULD_VIOLATE = "Cannot evict pod as it would violate the pod's disruption budget.";

const tooMany = (message: string, retryAfterSeconds: number): ApiError =>
  refuse.busy(WOULD_VIOLATE, retryAfterSeconds, [{ reason: "DisruptionBudget", message }]);

/** A pod that serves nobody yet, or no more, is no loss. */
function isFree(pod: Stored<Pod>): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return true;
  return ["Pending", "Succeeded", "Failed"].includes(pod.status?.phase ?? "");
}

const isReady = (pod: Pod): boolean =>
  (pod.status?.conditions ?? []).some((each) => each.type === "Ready" && each.status === "True");

async function budgetOf(
  core: Core,
  pod: Stored<Pod>,
): Promise<Stored<PodDisruptionBudget> | undefined> {
  const { namespace = "", labels = {} } = pod.metadata;
  const page = await core.store.list({ prefix: `policy/poddisruptionbudgets/${namespace}/` });
  const found = page.items
    .map((item) => peek<PodDisruptionBudget>(item))
    .filter((budget) => matchLabelSelector(budget.spec?.selector)(labels));
  if (found.length > 1) {
    throw new ApiError(
      500,
      "InternalError",
      "This pod has more than one PodDisruptionBudget, which the eviction subresource " +
        "does not support.",
    );
  }
  return found[0];
}

/** Takes one disruption off the budget. */
function spend(budget: Stored<PodDisruptionBudget>, podName: string, now: string): void {
  const { metadata } = budget;
  budget.status ??= {
    currentHealthy: 0,
    desiredHealthy: 0,
    disruptionsAllowed: 0,
    expectedPods: 0,
  };
  const { status } = budget;
  if ((status.observedGeneration ?? 0) < (metadata.generation ?? 0)) {
    throw tooMany(
      `The disruption budget ${metadata.name} is still being processed by the server.`,
      10,
    );
  }
  if (status.disruptionsAllowed < 0) {
    throw refuse.forbidden(BUDGETS, metadata.name, "pdb disruptions allowed is negative");
  }
  if (Object.keys(status.disruptedPods ?? {}).length > DISRUPTED_PODS_MAX) {
    throw refuse.forbidden(
      BUDGETS,
      metadata.name,
      "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
    );
  }
  if (status.disruptionsAllowed === 0) {
    throw tooMany(
      `The disruption budget ${metadata.name} needs ${status.desiredHealthy} healthy pods ` +
        `and has ` +
        `${status.currentHealthy} currently`,
      0,
    );
  }
  status.disruptionsAllowed -= 1;
  status.disruptedPods = { ...status.disruptedPods, [podName]: now };
}

/** Healthy enough without this pod: it does not count against the budget. */
function isUnhealthyExtra(pod: Pod, budget: PodDisruptionBudget): boolean {
  if (isReady(pod)) return false;
  if (budget.spec?.unhealthyPodEvictionPolicy === "AlwaysAllow") return true;
  const { currentHealthy = 0, desiredHealthy = 0 } = budget.status ?? {};
  return currentHealthy >= desiredHealthy && desiredHealthy > 0;
}

async function spendBudget(
  core: Core,
  call: Call,
  budget: Stored<PodDisruptionBudget>,
  podName: string,
): Promise<void> {
  const resource = must(core.registry.find("policy", "v1", "poddisruptionbudgets"), "budgets");
  const now = timestamp(core.clock.now());
  await updateObject(
    core,
    { ...call, resource },
    {
      name: budget.metadata.name,
      subresource: "status",
      trusted: true,
      next: (read) => {
        const live = read();
        spend(live as Stored<PodDisruptionBudget>, podName, now);
        return live;
      },
      keep: () => {},
    },
  );
}

/** Tells why the pod goes, before it goes. */
async function markDisrupted(core: Core, call: Call, name: string): Promise<void> {
  const now = timestamp(core.clock.now());
  await updateObject(core, call, {
    name,
    subresource: "status",
    trusted: true,
    next: (read) => {
      const live = read();
      const pod = live as Pod;
      pod.status ??= {};
      const others = (pod.status.conditions ?? []).filter((c) => c.type !== "DisruptionTarget");
      pod.status.conditions = [
        ...others,
        {
          type: "DisruptionTarget",
          status: "True",
          reason: "EvictionByEvictionAPI",
          message: "Eviction API: evicting",
          lastTransitionTime: now,
        },
      ];
      return live;
    },
    keep: () => {},
  });
}

function deleteOptionsOf(call: Call, eviction: Eviction): DeleteOptions {
  const given = eviction.deleteOptions ?? {};
  const { uid, resourceVersion } = given.preconditions ?? {};
  return {
    ...(given.gracePeriodSeconds !== undefined && { gracePeriodSeconds: given.gracePeriodSeconds }),
    ...(uid && { uid }),
    ...(resourceVersion && { resourceVersion }),
    dryRun: isDryRun(call) || (given.dryRun ?? []).includes("All"),
  };
}

async function evict(core: Core, call: Call): Promise<Response> {
  const name = call.target.name ?? "";
  const given = (await readAdopted(call, EVICTION)) as Eviction;
  place(call, given, undefined);
  if (metadataOf(given).name !== name) {
    throw refuse.badRequest("name in URL does not match name in Eviction object");
  }
  const options = deleteOptionsOf(call, given);
  const pod = peek<Pod>(await mustGet(core, call));
  checkNodeEviction(call.user, pod);
  if (options.uid !== undefined && options.uid !== pod.metadata.uid) {
    throw refuse.conflict(
      { group: "", plural: "pods", kind: "Pod" },
      name,
      `the UID in the precondition (${options.uid}) does not match the UID in record ` +
        `(${pod.metadata.uid}). The object might have been deleted and then recreated`,
    );
  }
  const budget = isFree(pod) ? undefined : await budgetOf(core, pod);
  if (budget !== undefined && !isUnhealthyExtra(pod, budget)) {
    if (options.dryRun) spend(structuredClone(budget), name, "");
    else await spendBudget(core, call, budget, name);
  }
  if (!options.dryRun) {
    await markDisrupted(core, call, name);
    const { resourceVersion: _, ...rest } = options;
    await deleteObject(core, call, name, rest);
  }
  return success(call, 201);
}

export const eviction: Subresource = {
  name: "eviction",
  of: (resource) => resource.bucket === "core/pods",
  kind: { group: "policy", version: "v1", kind: "Eviction" },
  verbs: ["create"],
  async serve(core, call) {
    if (call.verb !== "create") throw refuse.method();
    return evict(core, call);
  },
};
