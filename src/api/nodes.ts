/**
 * How the API reaches the agent of a node, whichever way that is: in this process, or its tunnel.
 */
import type { Channel } from "#base/channel.ts";

/**
 * The agent's own API, the paths of Kubernetes' kubelet:
 * `GET /containerLogs/NS/POD/CONTAINER?follow&tailLines&…`, `GET /healthz`, `/pods`,
 * `/stats/summary`, and `/usage` (a NodeUsageAnswer) by `fetch`;
 * `/exec/NS/POD/CONTAINER?command=…&tty&stdin&stdout&stderr`, `/attach/…`,
 * `/portForward/NS/POD?port=N` by `open`. A channel of exec and attach carries v5.channel.k8s.io
 * messages whole (first byte: 0 stdin, 1 stdout, 2 stderr, 3 error Status, 4 resize, 255 close of a
 * channel); one of portForward plain bytes, which the node wraps in TLS with `&tls=1`. With
 * `&proxy=1` a pod is reached by its address instead of by its loopback. With `&uid=UID` only the
 * pod that has it is meant.
 */
export interface NodeLink {
  fetch(request: Request): Promise<Response>;
  /** Rejects with a message for the client where the target does not exist. */
  open(pathAndQuery: string): Promise<Channel>;
}

/** What is used of the CPU, as a rate, and of memory without pages that could go at once. */
export interface UsageFigures {
  /** Billionths of a core. */
  nanoCores: number;
  memoryBytes: number;
}

export interface NodeUsageAnswer {
  /** When it was read (ms since 1970), and how far back the rates reach. */
  atMs: number;
  windowMs: number;
  node?: UsageFigures;
  pods: Array<{ uid: string; containers: Array<UsageFigures & { name: string }> }>;
}

export interface NodeUsages {
  /** Undefined where the node does not say. */
  of(nodeName: string): Promise<NodeUsageAnswer | undefined>;
}

export interface NodeLinks {
  /** Undefined while the node's agent is not connected. */
  link(nodeName: string): NodeLink | undefined;
  /** The same once the agent connects; undefined where it has not after `withinMs`. */
  appears(nodeName: string, withinMs: number): Promise<NodeLink | undefined>;
}
