/**
 * A pod's life by chance: each choice ends an operation well or badly, ends a container, lets time
 * pass, restarts the machine or deletes the pod. After each the plan is asked, and what must never
 * happen is checked.
 */
import { expect } from "bun:test";
import { nextBackoff, planPod } from "#agents/kubelet/plan.ts";
import { anyRunning, hasEnded, hashOf, isRunning, membersOf } from "#agents/kubelet/pod.ts";
import { podStatus } from "#agents/kubelet/status.ts";
import type { Failure, Operation, PodState, Step } from "#agents/kubelet/types.ts";
import type { Pod, PodStatus } from "#resources/types.gen.ts";
import { box, NOW, podOf, stateOf } from "#test/support/podstate.ts";

export interface Shape {
  restartPolicy: string;
  /** One init container each; true: a sidecar. */
  init: readonly boolean[];
  main: number;
}

interface Pending {
  key: string;
  step: Step;
}

const keyOf = (step: Step): string =>
  "container" in step ? `${step.do}:${step.container}` : step.do;

class Simulation {
  readonly pod: Pod & { metadata: ReturnType<typeof podOf>["metadata"] };
  readonly operations = new Map<string, Operation>();
  readonly failures = new Map<string, Failure>();
  readonly pending: Pending[] = [];
  state: PodState;
  status: PodStatus | undefined;
  #volumes = false;
  finished = false;

  constructor(shape: Shape) {
    this.pod = podOf({
      restartPolicy: shape.restartPolicy,
      initContainers: shape.init.map((sidecar, i) =>
        box(`i${i}`, sidecar ? { restartPolicy: "Always" } : {}),
      ),
      containers: Array.from({ length: shape.main }, (_, i) => box(`m${i}`)),
    });
    const fresh = stateOf(this.pod, { record: { sandboxes: 0 } });
    const { sandbox: _, ...record } = fresh.record;
    const { operations, failures } = this;
    this.state = { ...fresh, record, operations, failures, volumesReady: false };
  }

  /** Asks the plan and begins what it says. */
  look(): void {
    if (this.finished) return;
    this.state = { ...this.state, volumesReady: this.#volumes };
    const { steps } = planPod(this.state);
    for (const step of steps) {
      const key = keyOf(step);
      this.#check(step, key);
      if (this.operations.has(key)) continue;
      const graceMs = step.do === "stop" ? { graceMs: step.graceMs } : {};
      this.operations.set(key, { startedAtMs: this.state.now, ...graceMs });
      this.pending.push({ key, step });
    }
    this.#checkStatus();
  }

  #check(step: Step, key: string): void {
    const under = this.operations.get(key);
    if (step.do === "stop" && under !== undefined) {
      expect(step.graceMs).toBeLessThan(under.graceMs ?? 0);
      return;
    }
    expect(under).toBeUndefined();
    const { record, pod } = this.state;
    if (step.do === "start") {
      expect(isRunning(record.containers[step.container]?.current)).toBe(false);
      expect(pod.metadata.deletionTimestamp).toBeUndefined();
      const starts = [...this.operations.keys()].filter((other) => other.startsWith("start:"));
      expect(starts).toEqual([]);
      this.#checkOrder(step.container);
    }
    if (step.do === "cleanup" || step.do === "finish") expect(anyRunning(this.state)).toBe(false);
    if (step.do === "finish") expect(record.cleaned).toBe(true);
  }

  /** A main container starts only after all init containers are done. */
  #checkOrder(name: string): void {
    const members = membersOf(this.pod);
    const self = members.findIndex(({ spec }) => spec.name === name);
    if (members[self]?.role !== "main" || this.state.record.initialized) return;
    for (const { role, spec } of members.slice(0, self)) {
      const current = this.state.record.containers[spec.name]?.current;
      if (role === "init") expect(hasEnded(current) && current.exitCode === 0).toBe(true);
      if (role === "sidecar") expect(isRunning(current)).toBe(true);
    }
  }

  #checkStatus(): void {
    const before = this.status;
    const after = podStatus(this.state, before);
    const over = (phase: string | undefined) => phase === "Succeeded" || phase === "Failed";
    // A phase that is final stays: others act on it (Jobs, ReplicaSets).
    if (over(before?.phase)) expect(after.phase).toBe(before?.phase ?? "");
    if (over(after.phase)) expect(anyRunning(this.state)).toBe(false);
    this.status = after;
  }

  complete(index: number, well: boolean): void {
    if (this.pending.length === 0) return;
    const [{ key, step }] = this.pending.splice(index % this.pending.length, 1) as [Pending];
    this.operations.delete(key);
    if (step.do === "stop") {
      this.exit(step.container, 143);
      return;
    }
    if (!well) {
      const count = (this.failures.get(key)?.count ?? 0) + 1;
      const member = membersOf(this.pod).find(
        ({ spec }) => "container" in step && spec.name === step.container,
      );
      const subject = step.do === "start" && member ? hashOf(member.spec) : "";
      const atMs = this.state.now;
      this.failures.set(key, { reason: "Error", message: "x", count, atMs, subject });
      return;
    }
    this.failures.delete(key);
    this.#succeed(step);
  }

  #succeed(step: Step): void {
    const { record } = this.state;
    if (step.do === "attach") {
      record.sandboxes++;
      record.sandbox = { id: `s${record.sandboxes}`, ips: ["10.42.0.2"], netnsPath: "/x" };
    } else if (step.do === "volumes") this.#volumes = true;
    else if (step.do === "cleanup") record.cleaned = true;
    else if (step.do === "finish") this.finished = true;
    else if (step.do === "start") this.#started(step);
  }

  #started(step: Extract<Step, { do: "start" }>): void {
    const { record, now } = this.state;
    const member = membersOf(this.pod).find(({ spec }) => spec.name === step.container);
    if (member === undefined) throw new Error("no such container");
    const before = record.containers[step.container];
    const backoff = step.afterFailure ? nextBackoff(this.state, step.container) : before?.backoff;
    record.containers[step.container] = {
      restarts: step.attempt,
      current: {
        id: `${step.container}-${step.attempt}`,
        attempt: step.attempt,
        sandbox: record.sandboxes,
        image: "busybox:1",
        imageId: "x",
        hash: hashOf(member.spec),
        startedAtMs: now,
      },
      ...(before?.current && { last: before.current }),
      ...(backoff && { backoff }),
    };
    if (member.role === "main") record.initialized = true;
  }

  exit(name: string, exitCode: number): void {
    const current = this.state.record.containers[name]?.current;
    if (!isRunning(current)) return;
    Object.assign(current, { finishedAtMs: this.state.now, exitCode });
    this.operations.delete(`stop:${name}`);
    const stop = this.pending.findIndex(({ key }) => key === `stop:${name}`);
    if (stop >= 0) this.pending.splice(stop, 1);
  }

  exitAny(choice: number): void {
    const names = Object.entries(this.state.record.containers)
      .filter(([, { current }]) => isRunning(current))
      .map(([name]) => name);
    const name = names[choice % Math.max(1, names.length)];
    if (name !== undefined) this.exit(name, choice % 3 === 0 ? 0 : 1);
  }

  reboot(): void {
    const { record, now } = this.state;
    if (record.cleaned) return;
    this.operations.clear();
    this.pending.length = 0;
    this.#volumes = false;
    for (const { current } of Object.values(record.containers)) {
      if (isRunning(current)) Object.assign(current, { finishedAtMs: now, exitCode: 255 });
    }
    if (record.sandbox === undefined) return;
    delete record.sandbox;
    record.sandboxes++;
    record.initialized = false;
  }

  remove(): void {
    if (this.pod.metadata.deletionTimestamp !== undefined) return;
    this.pod.metadata.deletionTimestamp = "2026-01-01T00:00:00Z";
    this.pod.metadata.deletionGracePeriodSeconds = 30;
    this.state = { ...this.state, terminatingSinceMs: this.state.now };
  }

  pass(ms: number): void {
    this.state = { ...this.state, now: this.state.now + ms };
  }
}

/** Throws where a rule is broken. */
export function simulate(shape: Shape, choices: readonly number[]): void {
  const simulation = new Simulation(shape);
  expect(simulation.state.now).toBe(NOW);
  simulation.look();
  for (const choice of choices) {
    const what = choice % 16;
    const detail = Math.floor(choice / 16);
    if (what < 8) simulation.complete(detail, what !== 7);
    else if (what < 11) simulation.exitAny(detail);
    else if (what < 14) simulation.pass(detail % 400_000);
    else if (what === 14) simulation.reboot();
    else if (detail % 4 === 0) simulation.remove();
    simulation.look();
  }
  simulation.remove();
  simulation.look();
  for (let round = 0; round < 60 && !simulation.finished; round++) {
    simulation.complete(0, true);
    simulation.pass(60_000);
    simulation.look();
  }
  expect(simulation.finished).toBe(true);
}
