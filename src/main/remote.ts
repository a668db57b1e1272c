/** A Fetch over the network to a server that a pinned CA vouches for. */
import type { Credentials } from "#agents/join/credentials.ts";
import type { Clock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import type { Fetch } from "#client/client.ts";

export interface Remote {
  readonly fetch: Fetch;
  /** When the last answer came, by the steady clock. */
  heardMs(): number;
  /**
   * Ends all requests under way: a server that lost its power or its address never says goodbye,
   * and a watch would wait for it for ever.
   */
  drop(): void;
}

const isWatch = (search: string): boolean => /[?&]watch=(?:true|1)/.test(search);

export function connectRemote(options: {
  server: () => string;
  credentials: Credentials;
  clock: Clock;
  /** The server does not know this node, or not any more. */
  onUnknown: () => void;
}): Remote {
  const underWay = new Set<AbortController>();
  let heardMs = Number.NEGATIVE_INFINITY;
  /** Since when every answer was a refusal, by the steady clock. */
  let refusedSinceMs: number | undefined;

  /** A server whose clock is another one is to be asked for its time. */
  function agrees(answer: Response): boolean {
    const sentMs = Date.parse(answer.headers.get("date") ?? "");
    return !(Math.abs(sentMs - options.clock.now()) > limits.clockDoubtMs);
  }

  /**
   * Clocks that are apart, or were a moment ago, make a good token a bad one: only a server that
   * goes on refusing does not know this node.
   */
  function isUnknown(answer: Response): boolean {
    const nowMs = options.clock.monotonic();
    refusedSinceMs ??= nowMs;
    return agrees(answer) && nowMs - refusedSinceMs >= limits.unknownAfterMs;
  }

  /** A certificate that is refused is tried once more as a token. */
  async function ask(request: Request, signal: AbortSignal): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const body = request.body === null ? null : await request.arrayBuffer();
    for (;;) {
      const { headers: own, tls, refused } = await options.credentials.current();
      const headers = new Headers(request.headers);
      for (const [name, value] of Object.entries(own)) headers.set(name, value);
      const url = `${options.server()}${pathname}${search}`;
      const answer = await fetch(url, { method: request.method, headers, body, signal, tls });
      heardMs = agrees(answer) ? options.clock.monotonic() : Number.NEGATIVE_INFINITY;
      if (answer.status !== 401) {
        refusedSinceMs = undefined;
        return answer;
      }
      if (!refused()) {
        if (isUnknown(answer)) options.onUnknown();
        return answer;
      }
      await answer.body?.cancel();
    }
  }

  return {
    async fetch(request) {
      const { search } = new URL(request.url);
      const end = new AbortController();
      const abort = () => end.abort(request.signal.reason);
      request.signal.addEventListener("abort", abort, { once: true });
      if (request.signal.aborted) abort();
      underWay.add(end);
      const late = () => end.abort(new Error("the server does not answer"));
      const timer = isWatch(search) ? undefined : setTimeout(late, limits.remoteRequestMsMax);
      const over = () => {
        clearTimeout(timer);
        underWay.delete(end);
        request.signal.removeEventListener("abort", abort);
      };
      try {
        const answer = await ask(request, end.signal);
        return isWatch(search) ? watched(answer, over) : await whole(answer, over);
      } catch (error) {
        over();
        throw error;
      }
    },
    heardMs: () => heardMs,
    drop() {
      for (const end of [...underWay]) end.abort(new Error("the connection to the server is lost"));
    },
  };
}

/** Read here, so that the time limit holds for the whole answer. */
async function whole(answer: Response, over: () => void): Promise<Response> {
  const bytes = await answer.arrayBuffer();
  over();
  const { status, headers } = answer;
  return new Response(status === 204 || status === 304 ? null : bytes, { status, headers });
}

/** The same answer, telling when its stream is over. */
function watched(answer: Response, over: () => void): Response {
  if (answer.body === null) {
    over();
    return answer;
  }
  const through = new TransformStream<Uint8Array, Uint8Array>();
  answer.body.pipeTo(through.writable).then(over, over);
  return new Response(through.readable, { status: answer.status, headers: answer.headers });
}
