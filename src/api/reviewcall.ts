/** A review sent to a webhook over TLS: of admission or of conversion. */
import type { Core } from "#api/core.ts";
import { placeOf, send, textOf } from "#api/outbound.ts";

/** Where a webhook answers, as `clientConfig` says it. */
export interface Target {
  readonly url?: string;
  readonly service?: {
    readonly namespace: string;
    readonly name: string;
    readonly port?: number;
    readonly path?: string;
  };
  /** PEM in base64. */
  readonly caBundle?: string;
}

async function whereIs(core: Core, { url, service }: Target) {
  if (url !== undefined) {
    const { hostname, port, pathname, search } = new URL(url);
    const host = hostname.replace(/^\[|\]$/g, "");
    return {
      place: { host, port: Number(port || 443) },
      serverName: host,
      path: pathname + search,
      shown: url,
    };
  }
  if (service === undefined) throw new Error("neither url nor service is set");
  const { namespace, name, port = 443 } = service;
  const path = service.path ?? "/";
  const serverName = `${name}.${namespace}.svc`;
  const shown = `https://${serverName}:${port}${path}`;
  return { place: await placeOf(core, { namespace, name, port }), serverName, path, shown };
}

/**
 * What the webhook says of `review`. @throws Error where it cannot be asked or answers nonsense.
 */
export async function postReview<T>(
  core: Core,
  target: Target,
  seconds: number,
  review: object,
  read: (text: string) => T,
): Promise<T> {
  const { caBundle } = target;
  const where = await whereIs(core, target);
  const gone = new AbortController();
  const cancel = core.clock.after(seconds * 1000, () => gone.abort());
  try {
    const answer = await send({
      method: "POST",
      place: where.place,
      serverName: where.serverName,
      path: `${where.path}${where.path.includes("?") ? "&" : "?"}timeout=${seconds}s`,
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify(review),
      ...(caBundle && { ca: Buffer.from(caBundle, "base64").toString() }),
      signal: gone.signal,
    });
    const text = await textOf(answer);
    if (answer.status !== 200) throw new Error(`the server answered ${answer.status}`);
    return read(text);
  } catch (cause) {
    const why = gone.signal.aborted
      ? "context deadline exceeded"
      : String((cause as Error).message);
    throw new Error(`failed to call webhook: Post "${where.shown}?timeout=${seconds}s": ${why}`, {
      cause,
    });
  } finally {
    cancel();
  }
}
