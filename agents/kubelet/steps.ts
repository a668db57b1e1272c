/** Carries out the steps of a plan, apart from starting and stopping containers. */

import { mkdirSync } from "node:fs";
import { allocatedPod } from "#agents/kubelet/allocate.ts";
import type { PodWork } from "#agents/kubelet/context.ts";
import { ImageError } from "#agents/kubelet/images.ts";
import { specOf } from "#agents/kubelet/pod.ts";
import { cgroupParent, podLimitsOf } from "#agents/kubelet/qos.ts";
import { resizeContainer } from "#agents/kubelet/resize.ts";
import { runtimeOfClass } from "#agents/kubelet/runtimeclass.ts";
import { volumeRequest } from "#agents/kubelet/sources.ts";
import { startContainer } from "#agents/kubelet/start.ts";
import { startPause } from "#agents/kubelet/startpause.ts";
import { stopContainer } from "#agents/kubelet/stop.ts";
import type { Operation, Step } from "#agents/kubelet/types.ts";
import type { PortMapping } from "#agents/network/cni.ts";
import { sleep } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import { isNotFound, StatusError } from "#client/client.ts";
import { pods } from "#resources/kinds/pod.ts";
import type { Pod } from "#resources/types.gen.ts";

export function operationKey(step: Step): string {
  return "container" in step ? `${step.do}:${step.container}` : step.do;
}

function portMappings(pod: Pod): PortMapping[] {
  const spec = specOf(pod);
  const all = [...(spec.initContainers ?? []), ...spec.containers];
  return all.flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, containerPort, protocol = "TCP", hostIP }) =>
      hostPort
        ? [
            {
              hostPort,
              containerPort,
              protocol: protocol as PortMapping["protocol"],
              ...(hostIP && { hostIP }),
            },
          ]
        : [],
    ),
  );
}

/** The pod's own group holds what it asked for against others, and its limits as a whole. */
function makeCgroup(worker: PodWork): void {
  const { groups, options, log } = worker.context;
  const path = cgroupParent(options.cgroupRoot, specOf(worker.pod), worker.uid);
  try {
    groups.make(path, podLimitsOf(allocatedPod(worker.pod, worker.record)));
    worker.context.roomChanged();
  } catch (error) {
    // Containers have their own limits below; a kernel without a controller must not stop the pod.
    log.warn("limits of the pod not set", { pod: worker.record.name, error: messageOf(error) });
  }
}

async function attach(worker: PodWork): Promise<void> {
  const { record } = worker;
  if (record.sandbox === undefined) {
    await refuseUnsupported(worker);
    makeCgroup(worker);
    await attachNetwork(worker);
  }
  if (specOf(worker.pod).shareProcessNamespace === true) await startPause(worker);
  // Before the first container runs, so that it is found again should this process die now.
  void worker.context.records.save(record);
}

/** What containerd of this node cannot do is said, never quietly left out. */
async function refuseUnsupported({ context, pod, record }: PodWork): Promise<void> {
  const { hostUsers, hostIPC, runtimeClassName } = specOf(pod);
  // The runtime binds it in; a system without POSIX message queues has no such folder.
  if (hostIPC === true) mkdirSync("/dev/mqueue", { recursive: true });
  if (hostUsers === false) {
    throw new Error("can't set `spec.hostUsers: false`, runtime does not support user namespaces");
  }
  if (specOf(pod).resourceClaims?.length) {
    throw new Error("dynamic resource allocation is not supported on this node");
  }
  if (!runtimeClassName) return;
  const runtime = await runtimeOfClass(context.client, runtimeClassName);
  if (runtime !== "") record.runtime = runtime;
}

async function attachNetwork(worker: PodWork): Promise<void> {
  const { context, record, uid } = worker;
  const id = `s${record.sandboxes + 1}`;
  if (specOf(worker.pod).hostNetwork === true) {
    record.sandbox = { id, ips: [...context.options.nodeIps()], netnsPath: "" };
  } else {
    const { ips, netnsPath } = await context.gate.run(1, () =>
      context.network.attach({
        podUid: uid,
        sandboxId: `${uid}-${id}`,
        podCidr: context.podCidr() ?? "",
        portMappings: portMappings(worker.pod),
      }),
    );
    record.sandbox = { id, ips, netnsPath };
  }
  record.sandboxes++;
}

async function volumes(worker: PodWork): Promise<void> {
  for (const { image } of specOf(worker.pod).volumes ?? []) {
    if (image?.reference) await haveImage(worker, image.reference, image.pullPolicy ?? "");
  }
  worker.volumes = await worker.context.volumes.prepare(volumeRequest(worker));
}

async function image(worker: PodWork, step: Extract<Step, { do: "image" }>): Promise<void> {
  const { container } = step;
  await haveImage(worker, step.image, step.policy, container);
  worker.pulledFor.set(container, step.attempt);
}

/** For a container, or for a volume where none is named. */
async function haveImage(
  worker: PodWork,
  name: string,
  policy: string,
  container?: string,
): Promise<void> {
  const { images } = worker.context;
  const found = policy === "Always" ? undefined : await images.find(name);
  if (found === undefined && policy === "Never") {
    const message = `Container image "${name}" is not present with pull policy of Never`;
    worker.event("Warning", "ErrImageNeverPull", message, container);
    throw new ImageError("ErrImageNeverPull", message);
  }
  if (found === undefined) {
    worker.event("Normal", "Pulling", `Pulling image "${name}"`, container);
    try {
      const { image: pulled, tookMs, waitedMs } = await images.pull(name, worker.pod);
      const took = `${Math.round(tookMs - waitedMs)}ms (${Math.round(tookMs)}ms including waiting)`;
      const size = `Image size: ${pulled.sizeBytes} bytes.`;
      const text = `Successfully pulled image "${name}" in ${took}. ${size}`;
      worker.event("Normal", "Pulled", text, container);
    } catch (error) {
      const message = messageOf(error);
      worker.event("Warning", "Failed", `Failed to pull image "${name}": ${message}`, container);
      worker.event("Warning", "Failed", "Error: ErrImagePull", container);
      throw error;
    }
  } else {
    const text = `Container image "${name}" already present on machine`;
    worker.event("Normal", "Pulled", text, container);
  }
}

/**
 * Containers, network and mounts go; the record and the logs stay until the API forgets the pod.
 */
async function cleanUp(worker: PodWork): Promise<void> {
  const { context, record, uid } = worker;
  const ids = Object.values(record.containers).flatMap(({ current, last }) =>
    [current?.id, last?.id].filter((id) => id !== undefined && id !== ""),
  ) as string[];
  const { sandbox } = record;
  if (sandbox?.pauseId) ids.push(sandbox.pauseId);
  await context.runtime.remove(ids);
  await Promise.all([
    sandbox !== undefined && sandbox.netnsPath !== ""
      ? context.network.detach({ podUid: uid, sandboxId: `${uid}-${sandbox.id}` })
      : undefined,
    context.volumes.teardown(uid),
  ]);
  context.groups.remove(cgroupParent(context.options.cgroupRoot, specOf(worker.pod), uid));
  context.roomChanged();
  worker.volumes = undefined;
  record.cleaned = true;
  if (!worker.exists || worker.pod.metadata.deletionTimestamp !== undefined) return;
  await context.records.save(record);
}

/** Nobody waits for what is left of a pod that the API has forgotten: starts of others go first. */
async function cleanup(worker: PodWork): Promise<void> {
  const { cleanups, gate, clock } = worker.context;
  if (worker.exists) return cleanUp(worker);
  await cleanups.run(1, async () => {
    if (cleanups.waiting < limits.podCleanupsWaitingMax) {
      const over = new AbortController();
      await Promise.race([gate.idle(), sleep(clock, limits.podCleanupYieldMsMax, over.signal)]);
      over.abort();
    }
    await cleanUp(worker);
  });
}

async function finish(worker: PodWork): Promise<void> {
  const { context, record, uid } = worker;
  if (worker.exists && !worker.mirrored) {
    await worker.status.flush();
    const ref = { namespace: record.namespace, name: record.name };
    try {
      await context.client.delete(pods, ref, { uid, gracePeriodSeconds: 0 });
    } catch (error) {
      const other = error instanceof StatusError && error.code === 409;
      if (!isNotFound(error) && !other) throw error;
    }
  }
  // The API's word that it is gone comes by the watch; a finalizer may hold it for long.
  worker.deletionTold = true;
  if (!worker.exists) context.forget(worker);
}

export function perform(worker: PodWork, step: Step, operation: Operation): Promise<void> {
  switch (step.do) {
    case "attach":
      return attach(worker);
    case "volumes":
      return volumes(worker);
    case "image":
      return image(worker, step);
    case "start":
      return startContainer(worker, step);
    case "stop":
      return stopContainer(worker, step, operation);
    case "cleanup":
      return cleanup(worker);
    case "finish":
      return finish(worker);
    case "resize":
      return resizeContainer(worker, step.container);
    case "judge":
      return Promise.resolve();
  }
}
