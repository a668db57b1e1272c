/**
 * The node's resources among its pods: who is let in, who may grow in place (KEP-1287), and how the
 * classes share the CPU.
 */
import { readFileSync } from "node:fs";
import { admitPod } from "#agents/kubelet/admit.ts";
import {
  allocatedPod,
  resizeRefusal,
  resourcesByName,
  wantsResize,
} from "#agents/kubelet/allocate.ts";
import type { PodWork } from "#agents/kubelet/context.ts";
import {
  assignDevices,
  type Devices,
  deviceCapacity,
  listDevices,
  takenDevices,
} from "#agents/kubelet/devices.ts";
import { type Pressure, refusedUnder } from "#agents/kubelet/eviction.ts";
import type { NodeKeeper } from "#agents/kubelet/node.ts";
import type { KubeletOptions } from "#agents/kubelet/options.ts";
import type { Plugins } from "#agents/kubelet/plugins.ts";
import { classShares, nodeShares } from "#agents/kubelet/qos.ts";
import type { ControlGroups } from "#agents/runtime/stats.ts";
import { messageOf } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { qosClass } from "#resources/qos.ts";
import type { Pod } from "#resources/types.gen.ts";

export interface RoomOptions {
  workers: ReadonlyMap<string, PodWork>;
  node: NodeKeeper;
  groups: ControlGroups;
  plugins: Plugins;
  options: KubeletOptions;
  log: Log;
  pressure(): Pressure;
}

const isBestEffort = ({ pod }: PodWork): boolean =>
  qosClass(pod.spec ?? { containers: [] }) === "BestEffort";

/** Of this machine. */
function hasAppArmor(): boolean {
  try {
    return readFileSync("/sys/module/apparmor/parameters/enabled", "utf8").startsWith("Y");
  } catch {
    // A kernel without it.
    return false;
  }
}

export class Room {
  readonly #parts: RoomOptions;
  #devices: Devices = new Map();
  /** Shares that the class was given last. */
  #burstable: number | undefined;
  /** Those that all pods were given last. */
  #all: number | undefined;

  constructor(parts: RoomOptions) {
    this.#parts = parts;
  }

  /** A pod that was not here before: refused with a reason, or its resources become its own. */
  admit(worker: PodWork): void {
    const { node, options } = this.#parts;
    const object = node.object();
    if (object === undefined) return;
    const verdict = admitPod({
      pod: worker.pod,
      node: object,
      allocatable: node.allocatable(),
      others: this.#users(worker),
      appArmor: options.appArmor ?? hasAppArmor(),
      ...(options.allowedSysctls && { allowedSysctls: options.allowedSysctls }),
    });
    const refused =
      verdict ?? refusedUnder(this.#parts.pressure(), worker.pod, isBestEffort(worker));
    if (refused !== undefined) worker.judge(refused);
    else this.#giveDevices(worker);
  }

  #giveDevices(worker: PodWork): void {
    const others = [...this.#parts.workers.values()]
      .map(({ record }) => record)
      .filter(({ verdict, cleaned }) => verdict === undefined && !cleaned);
    const devices = assignDevices(worker.pod, this.#devices, takenDevices(others));
    const plugged = this.#parts.plugins.assign(worker.pod, others);
    if (devices === undefined || plugged === undefined) {
      const message = "Allocate failed due to requested number of devices unavailable";
      worker.judge({ reason: "UnexpectedAdmissionError", message });
      return;
    }
    if (Object.keys(devices).length > 0) worker.record.devices = devices;
    if (Object.keys(plugged).length > 0) worker.record.plugged = plugged;
  }

  /** Devices come and go while the node runs. */
  lookForDevices(): void {
    this.#devices = (this.#parts.options.devices ?? listDevices)();
    const { plugins, node } = this.#parts;
    node.setDevices({ ...deviceCapacity(this.#devices), ...plugins.capacity() });
  }

  /** The pod's wish for other resources becomes its own where there is room. */
  allocate(worker: PodWork): void {
    const { pod, record } = worker;
    if (record.verdict !== undefined || !wantsResize(pod, record)) {
      if (record.resizePending !== undefined) delete record.resizePending;
      return;
    }
    const { node } = this.#parts;
    const refusal = resizeRefusal(pod, this.#users(worker), node.allocatable());
    if (refusal === undefined) {
      record.allocated = resourcesByName(pod);
      delete record.resizePending;
      void worker.context.records.save(record);
    } else if (refusal.message !== record.resizePending?.message) {
      record.resizePending = refusal;
      const event = refusal.reason === "Infeasible" ? "ResizeInfeasible" : "ResizeDeferred";
      worker.event("Warning", event, refusal.message);
    }
  }

  /**
   * Pods that use the node's resources, with what they were given. What the API has no more is not
   * among them, though it may take a while to end: the scheduler gave its place to others.
   */
  #users(but?: PodWork): Pod[] {
    return [...this.#parts.workers.values()]
      .filter((worker) => worker !== but && worker.exists)
      .filter(({ record }) => record.verdict === undefined && !record.cleaned)
      .map(({ pod, record }) => allocatedPod(pod, record));
  }

  /** A pod came, went or grew: classes weigh otherwise, and who waited for room may have it now. */
  changed(): void {
    const { groups, log, node, options, workers } = this.#parts;
    const all = nodeShares(node.allocatable()["cpu"]);
    const { burstable, besteffort } = classShares(this.#users());
    try {
      if (all !== this.#all) {
        groups.make(options.cgroupRoot, { cpuShares: all });
        this.#all = all;
      }
      if (burstable !== this.#burstable) {
        groups.make(`${options.cgroupRoot}/burstable`, { cpuShares: burstable });
        groups.make(`${options.cgroupRoot}/besteffort`, { cpuShares: besteffort });
        this.#burstable = burstable;
      }
    } catch (error) {
      log.warn("shares of the CPU not set", { error: messageOf(error) });
    }
    for (const worker of workers.values()) {
      if (worker.record.resizePending === undefined) continue;
      this.allocate(worker);
      worker.wake();
    }
  }
}
