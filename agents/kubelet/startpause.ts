/**
 * Starts the first process of a shared process namespace; its image is made and loaded on first
 * use.
 */
import { writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { PodWork } from "#agents/kubelet/context.ts";
import { hostnameOf } from "#agents/kubelet/files.ts";
import { architecture } from "#agents/kubelet/node.ts";
import { PAUSE_IMAGE, PAUSE_NAME, pauseImage } from "#agents/kubelet/pause.ts";
import { networkOf, specOf } from "#agents/kubelet/pod.ts";
import { cgroupParent } from "#agents/kubelet/qos.ts";
import { labelKeys } from "#agents/runtime/runtime.ts";
import { must } from "#base/assert.ts";

async function haveImage({ context }: PodWork): Promise<void> {
  if ((await context.images.find(PAUSE_IMAGE)) !== undefined) return;
  const path = `${context.options.dataDir}/pause.tar`;
  writeFileSync(path, pauseImage(architecture() === "arm64" ? "arm64" : "amd64"));
  await context.runtime.load(path);
  await rm(path, { force: true });
}

export async function startPause(worker: PodWork): Promise<void> {
  const { context, record, pod, uid } = worker;
  const sandbox = must(record.sandbox, "sandbox of the pod");
  if (sandbox.pauseId) return;
  // Until it runs: no container may start without it.
  record.sandbox = { ...sandbox, pauseId: "" };
  await haveImage(worker);
  const spec = specOf(pod);
  const { id } = await context.gate.run(0, () =>
    context.runtime.run({
      image: PAUSE_IMAGE,
      labels: {
        [labelKeys.pod]: record.name,
        [labelKeys.namespace]: record.namespace,
        [labelKeys.uid]: uid,
        [labelKeys.container]: PAUSE_NAME,
        [labelKeys.attempt]: "0",
        [labelKeys.kind]: "pause",
      },
      group: uid,
      network: networkOf(pod, sandbox.netnsPath),
      ...(spec.hostNetwork !== true && { hostname: hostnameOf(pod) }),
      env: [],
      mounts: [],
      devices: [],
      tmpfs: [],
      logPath: `${context.records.directory(uid)}/pause.log`,
      tty: false,
      stdin: false,
      groups: [],
      privileged: false,
      capabilities: { add: [], drop: ["ALL"] },
      readOnlyRootfs: true,
      noNewPrivileges: true,
      sysctls: {},
      cgroupParent: cgroupParent(context.options.cgroupRoot, spec, uid),
      ...(record.runtime && { runtime: record.runtime }),
      cpuShares: 2,
      oomScoreAdj: 0,
      ipc: spec.hostIPC === true ? "host" : "shareable",
    }),
  );
  record.sandbox = { ...sandbox, pauseId: id };
  context.own(id, worker, PAUSE_NAME);
}
