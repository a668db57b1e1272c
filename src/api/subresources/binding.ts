/**
 * A pod gets its node: the scheduler's one write.
 * https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/binding-v1/
 */
import type { Call, Core } from "#api/core.ts";
import { timestamp } from "#api/core.ts";
import { readAdopted } from "#api/decode.ts";
import { refuse } from "#api/errors.ts";
import { metadataOf } from "#api/meta.ts";
import { describe } from "#api/registry.ts";
import { success } from "#api/respond.ts";
import type { Subresource } from "#api/subresources/subresource.ts";
import { place } from "#api/verbs.ts";
import { updateObject } from "#api/write.ts";
import { must } from "#base/assert.ts";
import { notSupported, required } from "#resources/field.ts";
import { bindings } from "#resources/kinds/reviews.ts";
import type { Binding, Pod } from "#resources/types.gen.ts";

const BINDING = describe(bindings);
const SHOWN = { group: "", plural: "pods/binding", kind: "Pod" };

/** Same reason, message and time where it was true already. */
function schedule(pod: Pod, now: string): void {
  pod.status ??= {};
  const others = (pod.status.conditions ?? []).filter((each) => each.type !== "PodScheduled");
  const before = pod.status.conditions?.find((each) => each.type === "PodScheduled");
  const since = before?.status === "True" ? before.lastTransitionTime : now;
  pod.status.conditions = [
    ...others,
    { type: "PodScheduled", status: "True", ...(since && { lastTransitionTime: since }) },
  ];
}

function assign(pod: Pod, binding: Binding, name: string, now: string): Pod {
  const spec = must(pod.spec, "spec of a pod");
  const refuseWith = (why: string): never => {
    throw refuse.conflict(SHOWN, name, why);
  };
  if (pod.metadata?.deletionTimestamp !== undefined) {
    refuseWith(`pod ${name} is being deleted, cannot be assigned to a host`);
  }
  if (spec.nodeName) refuseWith(`pod ${name} is already assigned to node "${spec.nodeName}"`);
  if ((spec.schedulingGates ?? []).length > 0) {
    refuseWith(`pod ${name} has non-empty .spec.schedulingGates`);
  }
  spec.nodeName = binding.target.name ?? "";
  const metadata = metadataOf(pod);
  const { annotations, labels } = binding.metadata ?? {};
  if (annotations) metadata.annotations = { ...metadata.annotations, ...annotations };
  if (labels) metadata.labels = { ...metadata.labels, ...labels };
  schedule(pod, now);
  return pod;
}

function check(binding: Binding): void {
  const causes = [];
  // The body may have left it out, whatever its type says.
  const { kind, name }: { kind?: string; name?: string } = binding.target ?? {};
  if (kind && kind !== "Node") causes.push(notSupported("target.kind", kind, ["Node"]));
  if (!name) causes.push(required("target.name"));
  if (causes.length > 0) throw refuse.invalid(bindings, binding.metadata?.name ?? "", causes);
}

/** Binds the pod that the body (and the path, where it has one) names. */
export async function bind(core: Core, call: Call, name: string | undefined): Promise<Response> {
  const binding = (await readAdopted(call, BINDING)) as Binding;
  place(call, binding, name);
  check(binding);
  const podName = binding.metadata?.name ?? "";
  const { uid, resourceVersion } = metadataOf(binding);
  const pods = must(core.registry.find("", "v1", "pods"), "pods");
  const now = timestamp(core.clock.now());
  await updateObject(
    core,
    { ...call, resource: pods },
    {
      name: podName,
      subresource: "binding",
      trusted: true,
      next: (read) => {
        const live = read();
        const pod = assign(live as Pod, binding, podName, now);
        if (uid) metadataOf(pod).uid = uid;
        if (resourceVersion) metadataOf(pod).resourceVersion = resourceVersion;
        return pod;
      },
      keep: () => {},
    },
  );
  return success(call, 201);
}

export const binding: Subresource = {
  name: "binding",
  of: (resource) => resource.bucket === "core/pods",
  kind: { group: "", version: "v1", kind: "Binding" },
  verbs: ["create"],
  async serve(core, call) {
    if (call.verb !== "create") throw refuse.method();
    return bind(core, call, call.target.name);
  },
};
