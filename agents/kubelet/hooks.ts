/**
 * Lifecycle hooks of containers.
 * https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/
 */

import type { HookRunner, PodWork } from "#agents/kubelet/context.ts";
import { httpGet } from "#agents/kubelet/prober.ts";
import type { Member } from "#agents/kubelet/types.ts";
import { sleep } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import type { LifecycleHandler } from "#resources/types.gen.ts";

export class Hooks implements HookRunner {
  async run(
    worker: PodWork,
    member: Member,
    containerId: string,
    handler: LifecycleHandler,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { runtime, clock } = worker.context;
    const over = new Promise<void>((resolve) => {
      signal?.addEventListener("abort", () => resolve(), { once: true });
    });
    if (handler.exec?.command) {
      const run = runtime.execSync(containerId, handler.exec.command, limits.hookMsMax);
      const result = await Promise.race([run, over]);
      run.catch(() => {});
      if (result !== undefined && result.exitCode !== 0) {
        const command = handler.exec.command.join(" ");
        throw new Error(`command '${command}' exited with ${result.exitCode}: ${result.output}`);
      }
    } else if (handler.httpGet) {
      const ip = worker.record.sandbox?.ips[0] ?? "";
      const result = await Promise.race([
        httpGet(handler.httpGet, member.spec, ip, limits.hookHttpMsMax),
        over,
      ]);
      if (result !== undefined && !result.ok) throw new Error(result.message);
    } else if (handler.sleep) {
      await sleep(clock, handler.sleep.seconds * 1000, signal);
    }
  }
}
