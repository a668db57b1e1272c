/** Which container of which pod on which node a stream is about. */
import { peek } from "#api/codec.ts";
import type { Call, Core } from "#api/core.ts";
import { ApiError, refuse } from "#api/errors.ts";
import type { NodeLink } from "#api/nodes.ts";
import { mustGet } from "#api/read.ts";
import type { Channel } from "#base/channel.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Stored } from "#resources/meta.ts";
import type { Node, Pod } from "#resources/types.gen.ts";

const CONTAINER_KEY = "kubectl.kubernetes.io/default-container";

export async function podOf(core: Core, call: Call): Promise<Stored<Pod>> {
  return peek<Pod>(await mustGet(core, call));
}

function namesOf(pod: Pod): string[] {
  const { initContainers = [], containers = [], ephemeralContainers = [] } = pod.spec ?? {};
  return [...initContainers, ...containers, ...ephemeralContainers].map(({ name }) => name);
}

/** The container that was asked for, or the only one there is. @throws ApiError 400. */
export function containerOf(pod: Stored<Pod>, asked: string | null): string {
  const names = namesOf(pod);
  const { name } = pod.metadata;
  if (asked) {
    if (names.includes(asked)) return asked;
    throw refuse.badRequest(`container ${asked} is not valid for pod ${name}`);
  }
  const [only, second] = pod.spec?.containers ?? [];
  if (only !== undefined && second === undefined) return only.name;
  const marked = pod.metadata.annotations?.[CONTAINER_KEY];
  if (marked !== undefined && names.includes(marked)) return marked;
  throw refuse.badRequest(
    `a container name must be specified for pod ${name}, choose one of: [${names.join(" ")}]`,
  );
}

/** @throws ApiError 400 for a pod without a node, 503 where its node is not connected. */
export async function linkOf(core: Core, pod: Stored<Pod>): Promise<NodeLink> {
  const nodeName = pod.spec?.nodeName;
  if (!nodeName) {
    throw refuse.badRequest(`pod ${pod.metadata.name} does not have a host assigned`);
  }
  return nodeLink(core, nodeName);
}

async function isReady(core: Core, nodeName: string): Promise<boolean> {
  const item = await core.store.get(`core/nodes/${nodeName}`);
  const { conditions = [] } = (item && peek<Node>(item).status) ?? {};
  return conditions.some(({ type, status }) => type === "Ready" && status === "True");
}

/**
 * An agent that was restarted, or lost this server, connects again in a moment; one that is silent
 * for long has a node that is not ready. @throws ApiError 503.
 */
export async function nodeLink(core: Core, nodeName: string): Promise<NodeLink> {
  const { nodeLinks } = core;
  let link = nodeLinks.link(nodeName);
  if (link === undefined && (await isReady(core, nodeName))) {
    link = await nodeLinks.appears(nodeName, limits.nodeLinkWaitMsMax);
  }
  if (link === undefined) throw refuse.unavailable(`node ${nodeName} is not connected`);
  return link;
}

/** Opens a stream to the node. @throws ApiError with the node's own words. */
export async function openOn(link: NodeLink, pathAndQuery: string): Promise<Channel> {
  try {
    return await link.open(pathAndQuery);
  } catch (error) {
    throw new ApiError(500, "InternalError", `error dialing backend: ${messageOf(error)}`, {});
  }
}
