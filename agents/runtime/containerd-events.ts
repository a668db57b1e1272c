/**
 * containerd's event stream as runtime events: one connection that costs no process. After a break
 * it connects again and reports `reconnected`, for what happened meanwhile was not seen.
 */

import type { RuntimeEvent } from "#agents/runtime/runtime.ts";
import { backoffMs } from "#base/backoff.ts";
import { type Clock, sleep } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import type { Grpc } from "#base/grpc.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import { Fields, Writer } from "#base/proto.ts";

const SUBSCRIBE = "containerd.services.events.v1.Events/Subscribe";
const PUBLISH = "containerd.services.events.v1.Events/Publish";
const KNOCK_TOPIC = "/bramble/knock";

interface Parts {
  containerId: string;
  execId?: string;
  exitCode?: number;
  exitedAtMs?: number | undefined;
}

function event(type: RuntimeEvent["type"], atMs: number, parts: Parts): RuntimeEvent {
  return {
    type,
    containerId: parts.containerId,
    execId: parts.execId ?? "",
    exitCode: parts.exitCode ?? 0,
    atMs: parts.exitedAtMs ?? atMs,
  };
}

/** One envelope of the stream; undefined for a topic that nobody here asks about. */
export function decodeEvent(envelope: Uint8Array): RuntimeEvent | undefined {
  const fields = new Fields(envelope);
  const topic = fields.text(3);
  const atMs = fields.timeMs(1) ?? 0;
  const bytes = fields.message(4)?.bytes(2);
  if (bytes === undefined) return undefined;
  const body = new Fields(bytes);
  const containerId = body.text(1);
  if (topic === "/tasks/exit") {
    // The first process has its container's id as its own.
    const id = body.text(2);
    const execId = id === containerId ? "" : id;
    const exit = { exitCode: body.number(4), exitedAtMs: body.timeMs(5) };
    return event("exit", atMs, { containerId, execId, ...exit });
  }
  if (topic === "/tasks/oom") return event("oom", atMs, { containerId });
  if (topic === "/tasks/start") return event("start", atMs, { containerId });
  if (topic === "/tasks/delete") {
    const exit = { exitCode: body.number(3), exitedAtMs: body.timeMs(4) };
    return event("delete", atMs, { containerId, ...exit });
  }
  // The rest of an image event does not matter: whoever cares lists the images.
  if (topic.startsWith("/images/")) return event("image", atMs, { containerId: "" });
  return undefined;
}

export interface WatchOptions {
  grpc: Grpc;
  namespace: string;
  clock: Clock;
  log: Log;
}

/**
 * Publishes until `heard`: the server tells nothing of a subscription until its first event, so the
 * stream is known to be open only once an event of our own came back.
 */
async function knock({ grpc, clock }: WatchOptions, heard: AbortSignal): Promise<void> {
  const empty = { url: "types.containerd.io/google.protobuf.Empty", value: new Uint8Array() };
  const message = new Writer().text(1, KNOCK_TOPIC).any(2, empty.url, empty.value).done();
  while (!heard.aborted) {
    await grpc.unary(PUBLISH, message, { timeoutMs: limits.containerdMsMax });
    await sleep(clock, limits.relistBackoffMsMin, heard);
  }
}

/** One connection, until it breaks or `signal` aborts. */
async function subscribe(
  options: WatchOptions,
  listener: (event: RuntimeEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const namespace = `namespace==${JSON.stringify(options.namespace)}`;
  const topics = ["^/tasks/", "^/images/", `^${KNOCK_TOPIC}$`];
  const filters = topics.map((topic) => `${namespace},topic~=${JSON.stringify(topic)}`);
  const heard = new AbortController();
  const onMessage = (envelope: Uint8Array) => {
    if (!heard.signal.aborted) {
      heard.abort();
      listener(event("reconnected", options.clock.now(), { containerId: "" }));
    }
    const decoded = decodeEvent(envelope);
    if (decoded !== undefined) listener(decoded);
  };
  const message = new Writer().texts(1, filters).done();
  const stop = new AbortController();
  const stream = options.grpc.stream(SUBSCRIBE, message, onMessage, {
    signal: AbortSignal.any([signal, stop.signal]),
  });
  try {
    await Promise.race([stream, knock(options, heard.signal).then(() => stream)]);
  } finally {
    heard.abort();
    stop.abort();
  }
}

/**
 * Calls `listener` for each event until `signal` aborts. Each connection starts with `reconnected`.
 */
export async function watchEvents(
  options: WatchOptions,
  listener: (event: RuntimeEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = options;
  let failures = 0;
  const heard = (each: RuntimeEvent) => {
    failures = 0;
    listener(each);
  };
  while (!signal.aborted) {
    try {
      await subscribe(options, heard, signal);
    } catch (error) {
      if (signal.aborted) return;
      log.warn("containerd's events broke off", { error: messageOf(error) });
    }
    const waitMs = backoffMs(failures++, limits.relistBackoffMsMin, limits.relistBackoffMsMax);
    await sleep(clock, waitMs, signal);
  }
}
