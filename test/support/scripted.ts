/**
 * A Runtime that plays by a script: programs end when the test says so, and every call can be made
 * to fail, hang or lie. Time is the test's clock.
 */
import {
  type Container,
  type ContainerSpec,
  type ImageInfo,
  labelKeys,
  type Runtime,
  RuntimeError,
  type RuntimeEvent,
} from "#agents/runtime/runtime.ts";
import { type Channel, channelPair } from "#base/channel.ts";
import type { Clock } from "#base/clock.ts";

interface Process extends Container {
  spec: ContainerSpec;
}

export interface ScriptedContainer {
  readonly id: string;
  readonly spec: ContainerSpec;
  readonly state: Container["state"];
}

type Call = "list" | "run" | "signal" | "remove" | "execSync" | "inspectImage" | "pull";

export class ScriptedRuntime implements Runtime {
  readonly #clock: Clock;
  readonly #processes = new Map<string, Process>();
  readonly #listeners = new Set<(event: RuntimeEvent) => void>();
  readonly #images = new Map<string, ImageInfo>();
  #ids = 0;
  /** Every call with its subject, in order: `run web`, `signal web SIGTERM`. */
  readonly calls: string[] = [];
  /** Images that a registry would have. */
  readonly registry = new Set<string>();
  /** Containers (by name) that do not end at SIGTERM. */
  readonly stubborn = new Set<string>();
  /** Containers that do not even end at SIGKILL. */
  readonly immortal = new Set<string>();
  /** Answers instead of the runtime: throws, or a promise that hangs; undefined goes on. */
  fault: ((call: Call, subject: string) => Promise<void> | undefined) | undefined;
  /** Events that are lost while this is true. */
  deaf = false;
  /** Answer of a command in a container. */
  answer: (name: string, command: readonly string[]) => { exitCode: number; output: string } =
    () => ({
      exitCode: 0,
      output: "",
    });
  /** Called with what a container starts as, before the start is answered. */
  started: ((container: ScriptedContainer) => void) | undefined;

  constructor(clock: Clock, images: readonly string[] = ["busybox:1"]) {
    this.#clock = clock;
    for (const name of images) this.#addImage(name);
  }

  #addImage(name: string): ImageInfo {
    const image: ImageInfo = {
      id: `sha256:${name}`,
      names: [name],
      digests: [`${name.replace(/:.*/, "")}@sha256:${name}`],
      sizeBytes: 1_000_000,
      user: "",
      stopSignal: "",
    };
    this.#images.set(name, image);
    return image;
  }

  async #call(call: Call, subject: string): Promise<void> {
    this.calls.push(`${call} ${subject}`);
    await this.fault?.(call, subject);
  }

  #nameOf(id: string): string {
    return this.#processes.get(id)?.labels[labelKeys.container] ?? id;
  }

  #tell(event: RuntimeEvent): void {
    if (!this.deaf) for (const listener of [...this.#listeners]) listener(event);
  }

  /** Running containers by name. */
  running(): string[] {
    return [...this.#processes.values()]
      .filter(({ state }) => state === "running")
      .map(({ labels }) => labels[labelKeys.container] ?? "");
  }

  find(name: string): ScriptedContainer | undefined {
    return [...this.#processes.values()]
      .reverse()
      .find(({ labels }) => labels[labelKeys.container] === name);
  }

  imageNames(): string[] {
    return [...this.#images.keys()];
  }

  get size(): number {
    return this.#processes.size;
  }

  /** The newest container of this name ends by itself. */
  end(name: string, exitCode: number, options: { oom?: boolean } = {}): void {
    const found = this.find(name);
    if (found === undefined) throw new Error(`no container ${name}`);
    this.#end(found.id, exitCode, options.oom === true);
  }

  #end(id: string, exitCode: number, oom = false): void {
    const process = this.#processes.get(id);
    if (process === undefined || process.state !== "running") return;
    const finishedAtMs = this.#clock.now();
    Object.assign(process, { state: "exited", pid: undefined, exitCode, finishedAtMs });
    const event = { containerId: id, execId: "", exitCode, atMs: this.#clock.now() };
    if (oom) this.#tell({ ...event, type: "oom" });
    this.#tell({ ...event, type: "exit" });
  }

  /** containerd was restarted. */
  reconnect(): void {
    const event = { containerId: "", execId: "", exitCode: 0, atMs: this.#clock.now() };
    this.#tell({ ...event, type: "reconnected" });
  }

  /** As after a power cut: nothing runs, and exit codes are forgotten. */
  powerCut(): void {
    for (const process of this.#processes.values()) {
      Object.assign(process, { state: "created", exitCode: undefined, finishedAtMs: undefined });
    }
  }

  async version(): Promise<string> {
    return "containerd://1.6.20";
  }

  async list(): Promise<readonly Container[]> {
    await this.#call("list", "");
    return [...this.#processes.values()].map(({ spec: _, ...container }) => ({ ...container }));
  }

  async run(spec: ContainerSpec): Promise<{ id: string; pid: number | undefined }> {
    const name = spec.labels[labelKeys.container] ?? "";
    await this.#call("run", name);
    if (!this.#images.has(spec.image)) throw new RuntimeError("CreateContainerError", "no image");
    const id = `c${++this.#ids}`;
    const now = this.#clock.now();
    const process: Process = {
      id,
      spec,
      labels: spec.labels,
      image: spec.image,
      state: "running",
      pid: this.#ids,
      exitCode: undefined,
      createdAtMs: now,
      startedAtMs: now,
      finishedAtMs: undefined,
    };
    this.#processes.set(id, process);
    this.started?.(process);
    return { id, pid: process.pid };
  }

  async signal(id: string, signal: string): Promise<void> {
    const name = this.#nameOf(id);
    await this.#call("signal", `${name} ${signal}`);
    if (this.immortal.has(name)) return;
    if (signal === "SIGKILL") this.#end(id, 137);
    else if (!this.stubborn.has(name)) this.#end(id, 143);
  }

  async remove(ids: readonly string[]): Promise<void> {
    await this.#call("remove", ids.map((id) => this.#nameOf(id)).join(","));
    for (const id of ids) {
      this.#end(id, 137);
      this.#processes.delete(id);
    }
  }

  async execSync(
    id: string,
    command: readonly string[],
  ): Promise<{ exitCode: number; output: string }> {
    const name = this.#nameOf(id);
    await this.#call("execSync", `${name} ${command.join(" ")}`);
    return this.answer(name, command);
  }

  async exec(): Promise<Channel> {
    return channelPair()[0];
  }

  async attach(): Promise<Channel> {
    return channelPair()[0];
  }

  async images(): Promise<readonly ImageInfo[]> {
    return [...this.#images.values()];
  }

  async inspectImage(name: string): Promise<ImageInfo | undefined> {
    await this.#call("inspectImage", name);
    return this.#images.get(name);
  }

  async pull(name: string): Promise<ImageInfo> {
    await this.#call("pull", name);
    if (!this.registry.has(name)) throw new RuntimeError("ErrImagePull", `${name}: not found`);
    return this.#addImage(name);
  }

  async load(path: string): Promise<readonly string[]> {
    return [this.#addImage(path).names[0] ?? path];
  }

  async mountImage(): Promise<void> {}

  async releaseImages(): Promise<void> {}

  async removeImage(name: string): Promise<void> {
    for (const [known, { id }] of this.#images) {
      if (known === name || id === name) this.#images.delete(known);
    }
  }

  watch(listener: (event: RuntimeEvent) => void, signal: AbortSignal): void {
    this.#listeners.add(listener);
    signal.addEventListener("abort", () => this.#listeners.delete(listener), { once: true });
  }
}
