/**
 * A NodeLink over channels: `serveLink` on the node answers what `linkOver` on the server asks. The
 * target of a channel is `fetch` or `open PATH`; the first message each way is a JSON head.
 */
import type { NodeLink } from "#api/nodes.ts";
import { type Channel, carry, sendBody } from "#base/channel.ts";
import { messageOf } from "#base/errors.ts";

interface RequestHead {
  method: string;
  url: string;
  headers: Array<[string, string]>;
}

interface ResponseHead {
  status: number;
  headers: Array<[string, string]>;
}

interface OpenHead {
  error?: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const encode = (head: RequestHead | ResponseHead | OpenHead): Uint8Array =>
  encoder.encode(JSON.stringify(head));

/** The first message apart from the rest, so that both can be read by one iterator. */
async function headOf<T>(channel: Channel): Promise<{ head: T; rest: AsyncIterator<Uint8Array> }> {
  const rest = channel.messages[Symbol.asyncIterator]();
  const first = await rest.next();
  if (first.done === true) throw new Error("the node closed the stream");
  return { head: JSON.parse(decoder.decode(first.value)) as T, rest };
}

function bodyOf(channel: Channel, rest: AsyncIterator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await rest.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    cancel: () => channel.abort("the client left"),
  });
}

/** Statuses that a Response may not have a body with. */
const BODILESS = new Set([101, 204, 205, 304]);

export function linkOver(open: (target: string) => Channel): NodeLink {
  return {
    async fetch(request) {
      const channel = open("fetch");
      request.signal.addEventListener("abort", () => channel.abort("the client left"));
      const { method, url } = request;
      await channel.send(encode({ method, url, headers: [...request.headers] }));
      sendBody(channel, request.body).catch((error: unknown) => channel.abort(messageOf(error)));
      const { head, rest } = await headOf<ResponseHead>(channel);
      const body = BODILESS.has(head.status) ? null : bodyOf(channel, rest);
      return new Response(body, { status: head.status, headers: head.headers });
    },
    async open(pathAndQuery) {
      const channel = open(`open ${pathAndQuery}`);
      const { head, rest } = await headOf<OpenHead>(channel);
      if (head.error !== undefined) {
        channel.abort(head.error);
        throw new Error(head.error);
      }
      return { ...facade(channel), messages: { [Symbol.asyncIterator]: () => rest } };
    },
  };
}

function facade(channel: Channel): Omit<Channel, "messages"> {
  return {
    send: (message) => channel.send(message),
    end: () => channel.end(),
    abort: (reason) => channel.abort(reason),
    closed: channel.closed,
  };
}

async function answerFetch(link: NodeLink, channel: Channel): Promise<void> {
  const { head, rest } = await headOf<RequestHead>(channel);
  const gone = new AbortController();
  channel.closed.then(() => gone.abort());
  const bodiless = head.method === "GET" || head.method === "HEAD";
  const request = new Request(head.url, {
    method: head.method,
    headers: head.headers,
    body: bodiless ? null : bodyOf(channel, rest),
    signal: gone.signal,
  });
  const response = await link.fetch(request);
  // Not waited for: where the client is gone, the body must hear of it too.
  const told = channel.send(encode({ status: response.status, headers: [...response.headers] }));
  await Promise.all([told, sendBody(channel, response.body)]);
}

/** Joins two channels until both are over; the failure of one aborts the other. */
export async function joinChannels(a: Channel, b: Channel): Promise<void> {
  const guarded = (from: Channel, to: Channel) =>
    carry(from, to).then(
      () => to.end(),
      (error: unknown) => {
        from.abort(messageOf(error));
        to.abort(messageOf(error));
      },
    );
  await Promise.all([guarded(a, b), guarded(b, a)]);
}

async function answerOpen(link: NodeLink, path: string, channel: Channel): Promise<void> {
  let local: Channel;
  try {
    local = await link.open(path);
  } catch (error) {
    await channel.send(encode({ error: messageOf(error) }));
    channel.end();
    return;
  }
  try {
    await channel.send(encode({}));
  } catch (error) {
    // The client left meanwhile: nobody else would end what was opened for it.
    local.abort(messageOf(error));
    throw error;
  }
  await joinChannels(channel, local);
}

/** The node's side: answers one channel. Never rejects; what fails aborts the channel. */
export async function serveLink(link: NodeLink, target: string, channel: Channel): Promise<void> {
  try {
    if (target === "fetch") await answerFetch(link, channel);
    else if (target.startsWith("open ")) await answerOpen(link, target.slice(5), channel);
    else throw new Error(`unknown target ${target}`);
  } catch (error) {
    channel.abort(messageOf(error));
  }
}
