/**
 * The calls of containerd's API that cost no process: what is there, signals, extra processes,
 * images. Making, starting and removing containers stays with nerdctl. Field numbers are those of
 * containerd's .proto files (services/*, types/*), in 1.6 as in 2.x.
 */
import type { OciSpec } from "#agents/runtime/ocispec.ts";
import { type CallOptions, createGrpc, type Grpc, GrpcError, grpcCodes } from "#base/grpc.ts";
import { limits } from "#base/limits.ts";
import { Fields, Writer } from "#base/proto.ts";

/** A client of the containerd behind a Unix socket, in one of its namespaces. */
export function containerdGrpc(address: string, namespace: string): Grpc {
  return createGrpc({
    endpoint: { unix: address.replace(/^unix:\/\//, "") },
    connectMsMax: limits.containerdConnectMsMax,
    metadata: { "containerd-namespace": namespace },
  });
}

export interface ContainerRecord {
  id: string;
  labels: Record<string, string>;
  image: string;
  snapshotter: string;
  snapshotKey: string;
  createdAtMs: number;
  /** Name and options of the runtime, as containerd keeps them. */
  runtime: Uint8Array;
  /** The OCI runtime spec, parsed when asked for: it is large. */
  spec(): OciSpec;
}

type TaskStatus = "unknown" | "created" | "running" | "stopped" | "paused";

export interface Task {
  containerId: string;
  pid: number;
  status: TaskStatus;
  exitCode: number;
  exitedAtMs: number | undefined;
}

export interface ImageRecord {
  name: string;
  digest: string;
  mediaType: string;
  createdAtMs: number | undefined;
}

export interface ProcessIo {
  stdin: string;
  stdout: string;
  stderr: string;
  terminal: boolean;
}

/** The one that nerdctl unpacks images into. */
const SNAPSHOTTER = "overlayfs";

/** As mount(8) takes it, but for the place. */
export interface SnapshotMount {
  type: string;
  source: string;
  options: readonly string[];
}

/** OCI types in an `Any`, as containerd's own clients name them. */
const PROCESS_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Process";
const SPEC_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Spec";

const STATUS: readonly TaskStatus[] = [
  "unknown",
  "created",
  "running",
  "stopped",
  "paused",
  "paused",
];

/**
 * Largest piece that is read from the content store: manifests and configurations, never layers.
 */
const CONTENT_BYTES_MAX = 4 * 1024 * 1024;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function containerRecord(bytes: Uint8Array): ContainerRecord {
  const fields = new Fields(bytes);
  return {
    id: fields.text(1),
    labels: fields.map(2),
    image: fields.text(3),
    snapshotter: fields.text(6),
    snapshotKey: fields.text(7),
    createdAtMs: fields.timeMs(8) ?? 0,
    runtime: fields.bytes(4) ?? new Uint8Array(),
    spec: () => JSON.parse(decoder.decode(fields.message(5)?.bytes(2))),
  };
}

function mountOf(bytes: Uint8Array): SnapshotMount {
  const fields = new Fields(bytes);
  const options = fields.all(4).map((option) => decoder.decode(option));
  return { type: fields.text(1), source: fields.text(2), options };
}

function task(bytes: Uint8Array): Task {
  const fields = new Fields(bytes);
  // `container_id` is only set for extra processes; a task carries its container's id in `id`.
  return {
    containerId: fields.text(1) || fields.text(2),
    pid: fields.number(3),
    status: STATUS[fields.number(4)] ?? "unknown",
    exitCode: fields.number(9),
    exitedAtMs: fields.timeMs(10),
  };
}

function imageRecord(bytes: Uint8Array): ImageRecord {
  const fields = new Fields(bytes);
  const target = fields.message(3);
  return {
    name: fields.text(1),
    digest: target?.text(2) ?? "",
    mediaType: target?.text(1) ?? "",
    createdAtMs: fields.timeMs(7),
  };
}

async function orNothing<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof GrpcError && error.code === grpcCodes.notFound) return undefined;
    throw error;
  }
}

function processOf(containerId: string, execId: string): Writer {
  return new Writer().text(1, containerId).text(2, execId);
}

/**
 * Calls answer undefined or do nothing where the thing is not there; other failures are GrpcErrors.
 */
export class Containerd {
  readonly #grpc: Grpc;
  readonly #timeoutMs: number;

  constructor(grpc: Grpc, timeoutMs: number) {
    this.#grpc = grpc;
    this.#timeoutMs = timeoutMs;
  }

  async #call(method: string, message: Writer, options: CallOptions = {}): Promise<Fields> {
    const limit = { timeoutMs: this.#timeoutMs, ...options };
    return new Fields(
      await this.#grpc.unary(`containerd.services.${method}`, message.done(), limit),
    );
  }

  async version(): Promise<string> {
    return (await this.#call("version.v1.Version/Version", new Writer())).text(1);
  }

  /**
   * Folders in which containerd keeps images: of the content store and of the snapshotters in use.
   */
  async roots(): Promise<string[]> {
    const filters = [
      "type==io.containerd.content.v1",
      "type==io.containerd.snapshotter.v1,id==overlayfs",
    ];
    const answer = await this.#call(
      "introspection.v1.Introspection/Plugins",
      new Writer().texts(1, filters),
    );
    const roots = answer.all(1).map((bytes) => new Fields(bytes).map(5)["root"]);
    return roots.filter((root) => root !== undefined);
  }

  async containers(filters: readonly string[] = []): Promise<ContainerRecord[]> {
    const answer = await this.#call(
      "containers.v1.Containers/List",
      new Writer().texts(1, filters),
    );
    return answer.all(1).map(containerRecord);
  }

  async container(id: string): Promise<ContainerRecord | undefined> {
    const answer = await orNothing(
      this.#call("containers.v1.Containers/Get", new Writer().text(1, id)),
    );
    const bytes = answer?.bytes(1);
    return bytes && containerRecord(bytes);
  }

  async updateSpec(id: string, spec: OciSpec): Promise<void> {
    const text = encoder.encode(JSON.stringify(spec));
    const container = new Writer().text(1, id).any(5, SPEC_TYPE, text);
    const mask = new Writer().texts(1, ["spec"]);
    const request = new Writer().bytes(1, container.done()).bytes(2, mask.done());
    await this.#call("containers.v1.Containers/Update", request);
  }

  /** A record like this one, with that specification; its snapshot is made apart. */
  async createContainer(record: ContainerRecord, spec: OciSpec): Promise<void> {
    const container = new Writer()
      .text(1, record.id)
      .map(2, record.labels)
      .text(3, record.image)
      .bytes(4, record.runtime)
      .any(5, SPEC_TYPE, encoder.encode(JSON.stringify(spec)))
      .text(6, record.snapshotter)
      .text(7, record.snapshotKey);
    await this.#call("containers.v1.Containers/Create", new Writer().bytes(1, container.done()));
  }

  /** The container's own snapshot, on top of that of its image. */
  async prepare(record: ContainerRecord, parent: string): Promise<void> {
    const { snapshotter, snapshotKey } = record;
    const request = new Writer().text(1, snapshotter).text(2, snapshotKey).text(3, parent);
    await this.#call("snapshots.v1.Snapshots/Prepare", request);
  }

  /** The snapshot that a container's own stands on; "" when there is none. */
  async parentOf(record: ContainerRecord): Promise<string> {
    const request = new Writer().text(1, record.snapshotter).text(2, record.snapshotKey);
    const answer = await orNothing(this.#call("snapshots.v1.Snapshots/Stat", request));
    return answer?.message(1)?.text(2) ?? "";
  }

  async tasks(): Promise<Task[]> {
    return (await this.#call("tasks.v1.Tasks/List", new Writer())).all(1).map(task);
  }

  async task(containerId: string): Promise<Task | undefined> {
    const answer = await orNothing(this.#call("tasks.v1.Tasks/Get", processOf(containerId, "")));
    const bytes = answer?.bytes(1);
    return bytes && task(bytes);
  }

  /**
   * Sends a signal to a container's first process, or to an extra one; nothing when it has ended.
   */
  async kill(containerId: string, execId: string, signal: number): Promise<void> {
    const request = processOf(containerId, execId).number(3, signal);
    const limit = { timeoutMs: limits.containerdKillMsMax };
    await orNothing(this.#call("tasks.v1.Tasks/Kill", request, limit));
  }

  /** Mounts of a container's own snapshot. */
  async #mounts(record: ContainerRecord): Promise<Uint8Array[]> {
    const request = new Writer().text(1, record.snapshotter).text(2, record.snapshotKey);
    return (await this.#call("snapshots.v1.Snapshots/Mounts", request)).all(1);
  }

  /** Disk that a container's own files take; read from the file system, so it costs a walk. */
  async usage(record: ContainerRecord): Promise<{ bytes: number; inodes: number }> {
    const request = new Writer().text(1, record.snapshotter).text(2, record.snapshotKey);
    const answer = await this.#call("snapshots.v1.Snapshots/Usage", request);
    return { bytes: answer.number(1), inodes: answer.number(2) };
  }

  /**
   * Mounts of a read-only view of a snapshot, made where it is not there. It keeps its parents
   * until it is removed.
   */
  async view(view: { key: string; parent: string; labels: Record<string, string> }) {
    const at = new Writer().text(1, SNAPSHOTTER).text(2, view.key);
    const known = await orNothing(this.#call("snapshots.v1.Snapshots/Mounts", at));
    if (known !== undefined) return known.all(1).map(mountOf);
    const request = new Writer().text(1, SNAPSHOTTER).text(2, view.key).text(3, view.parent);
    request.map(4, view.labels);
    return (await this.#call("snapshots.v1.Snapshots/View", request)).all(1).map(mountOf);
  }

  /** Keys of the snapshots that carry a label, with that value where one is named. */
  async snapshotsWith(label: string, value?: string): Promise<string[]> {
    const keys: string[] = [];
    const has = `labels.${JSON.stringify(label)}`;
    const filter = value === undefined ? has : `${has}==${JSON.stringify(value)}`;
    await this.#grpc.stream(
      "containerd.services.snapshots.v1.Snapshots/List",
      new Writer().text(1, SNAPSHOTTER).texts(2, [filter]).done(),
      (message) => {
        for (const info of new Fields(message).all(1)) keys.push(new Fields(info).text(1));
      },
      { timeoutMs: this.#timeoutMs },
    );
    return keys;
  }

  async removeSnapshot(key: string): Promise<void> {
    const request = new Writer().text(1, SNAPSHOTTER).text(2, key);
    await orNothing(this.#call("snapshots.v1.Snapshots/Remove", request));
  }

  /** Makes and starts the task of a container that is only created, with these streams. */
  async startTask(record: ContainerRecord, io: ProcessIo): Promise<number> {
    const request = new Writer().text(1, record.id);
    for (const mount of await this.#mounts(record)) request.bytes(3, mount);
    request.text(4, io.stdin).text(5, io.stdout).text(6, io.stderr).bool(7, io.terminal);
    const pid = (await this.#call("tasks.v1.Tasks/Create", request)).number(2);
    await this.#call("tasks.v1.Tasks/Start", processOf(record.id, ""));
    return pid;
  }

  /** Adds a process to a running container; `startProcess` starts it. */
  async addProcess(
    containerId: string,
    execId: string,
    io: ProcessIo,
    spec: object,
  ): Promise<void> {
    const request = new Writer()
      .text(1, containerId)
      .text(2, io.stdin)
      .text(3, io.stdout)
      .text(4, io.stderr)
      .bool(5, io.terminal)
      .any(6, PROCESS_TYPE, encoder.encode(JSON.stringify(spec)))
      .text(7, execId);
    await this.#call("tasks.v1.Tasks/Exec", request);
  }

  async startProcess(containerId: string, execId: string): Promise<void> {
    await this.#call("tasks.v1.Tasks/Start", processOf(containerId, execId));
  }

  /** The exit code once it has ended. No time limit: `signal` ends the waiting. */
  async waitProcess(containerId: string, execId: string, signal?: AbortSignal): Promise<number> {
    const message = processOf(containerId, execId).done();
    const method = "containerd.services.tasks.v1.Tasks/Wait";
    return new Fields(await this.#grpc.unary(method, message, signal && { signal })).number(1);
  }

  async deleteProcess(containerId: string, execId: string): Promise<void> {
    await orNothing(this.#call("tasks.v1.Tasks/DeleteProcess", processOf(containerId, execId)));
  }

  async closeStdin(containerId: string, execId: string): Promise<void> {
    await orNothing(
      this.#call("tasks.v1.Tasks/CloseIO", processOf(containerId, execId).bool(3, true)),
    );
  }

  async resize(containerId: string, execId: string, width: number, height: number): Promise<void> {
    await orNothing(
      this.#call(
        "tasks.v1.Tasks/ResizePty",
        processOf(containerId, execId).number(3, width).number(4, height),
      ),
    );
  }

  async images(): Promise<ImageRecord[]> {
    return (await this.#call("images.v1.Images/List", new Writer())).all(1).map(imageRecord);
  }

  async image(name: string): Promise<ImageRecord | undefined> {
    const answer = await orNothing(this.#call("images.v1.Images/Get", new Writer().text(1, name)));
    const bytes = answer?.bytes(1);
    return bytes && imageRecord(bytes);
  }

  /** Removes a name, and waits until what only it held is gone from the disk. */
  async removeImage(name: string): Promise<void> {
    const request = new Writer().text(1, name).bool(2, true);
    await orNothing(this.#call("images.v1.Images/Delete", request));
  }

  /** Ends what holds the parts of unfinished fetches, and waits until the disk is rid of them. */
  async endLeases(): Promise<void> {
    for (const lease of (await this.#call("leases.v1.Leases/List", new Writer())).all(1)) {
      const request = new Writer().text(1, new Fields(lease).text(1)).bool(2, true);
      await orNothing(this.#call("leases.v1.Leases/Delete", request));
    }
  }

  /** A manifest or configuration; undefined when it is not there. */
  async content(digest: string): Promise<Uint8Array | undefined> {
    const chunks: Uint8Array[] = [];
    let size = 0;
    const read = this.#grpc.stream(
      "containerd.services.content.v1.Content/Read",
      new Writer().text(1, digest).done(),
      (message) => {
        const data = new Fields(message).bytes(2) ?? new Uint8Array();
        size += data.length;
        if (size > CONTENT_BYTES_MAX) throw new Error(`content ${digest} is too large to be read`);
        chunks.push(data);
      },
      { timeoutMs: this.#timeoutMs },
    );
    const done = await orNothing(read.then(() => true));
    return done === undefined ? undefined : Buffer.concat(chunks);
  }
}
