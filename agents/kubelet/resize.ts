/** Gives a running container other limits: writes to its control group, no call of the runtime. */
import { allocatedOf, allocatedPod } from "#agents/kubelet/allocate.ts";
import type { PodWork } from "#agents/kubelet/context.ts";
import { isRunning, specOf } from "#agents/kubelet/pod.ts";
import { type ContainerLimits, cgroupParent, limitsOf, podLimitsOf } from "#agents/kubelet/qos.ts";

/** What has no limit any more loses the one that it had. */
const whole = (limits: ContainerLimits) => ({
  cpuQuotaMicros: null,
  memoryLimitBytes: null,
  ...limits,
});

/** Throws an Error where the kernel refuses; what is set stays as it was. */
export async function resizeContainer(worker: PodWork, name: string): Promise<void> {
  const { context, record, pod, uid } = worker;
  const run = record.containers[name]?.current;
  if (!isRunning(run)) return;
  const { spec } = worker.member(name);
  const resources = allocatedOf(record, spec) ?? {};
  const parent = cgroupParent(context.options.cgroupRoot, specOf(pod), uid);
  const own = limitsOf(resources);
  const group = whole(podLimitsOf(allocatedPod(pod, record)));
  const none = Number.POSITIVE_INFINITY;
  const before = limitsOf(run.resources).memoryLimitBytes ?? none;
  const grows = (own.memoryLimitBytes ?? none) >= before;
  // The outer group must never be smaller than what is in it.
  if (grows) context.groups.make(parent, group);
  await context.groups.resize(`${parent}/${run.id}`, whole(own));
  if (!grows) context.groups.make(parent, group);
  run.resources = resources;
  await context.records.save(record);
  worker.event("Normal", "ResizeCompleted", `Container ${name} resized`, name);
  context.roomChanged();
}
