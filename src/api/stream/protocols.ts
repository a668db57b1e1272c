/**
 * What clients speak over a WebSocket for exec and attach, and what nodes speak: v5.channel.k8s.io,
 * whole messages of which the first byte is the channel (KEP-4006).
 */
import { refuse } from "#api/errors.ts";
import { type Channel, carry } from "#base/channel.ts";

export const ERROR_CHANNEL = 3;
const CLOSE = 255;

interface Protocol {
  readonly name: string;
  readonly base64: boolean;
  /** A client of v5 may close its standard input alone. */
  readonly closes: boolean;
  /** The first version sends a plain text on failure, the later ones a Status always. */
  readonly plainErrors: boolean;
}

const make = (name: string, more: Partial<Protocol> = {}): Protocol => ({
  name,
  base64: false,
  closes: false,
  plainErrors: false,
  ...more,
});

const PROTOCOLS: readonly Protocol[] = [
  make("v5.channel.k8s.io", { closes: true }),
  make("v4.channel.k8s.io"),
  make("v4.base64.channel.k8s.io", { base64: true }),
  make("channel.k8s.io", { plainErrors: true }),
  make("base64.channel.k8s.io", { base64: true, plainErrors: true }),
];

/** Without a protocol a client gets the first version, as upstream does. */
const UNNAMED = make("", { plainErrors: true });

export const offeredBy = (request: Request): string[] =>
  (request.headers.get("sec-websocket-protocol") ?? "")
    .split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "");

/** @throws ApiError 400 for what is no WebSocket, or speaks nothing that we do. */
export function requireWebSocket(request: Request): void {
  const upgrade = request.headers.get("upgrade")?.toLowerCase();
  if (upgrade !== "websocket") {
    throw refuse.badRequest("unable to upgrade: a WebSocket is needed (KEP-4006)");
  }
}

export function chooseProtocol(request: Request): Protocol {
  const offered = offeredBy(request).filter((each) => !each.startsWith("base64url.bearer."));
  if (offered.length === 0) return UNNAMED;
  const found = offered.map((name) => PROTOCOLS.find((p) => p.name === name)).find((p) => p);
  if (found !== undefined) return found;
  const known = PROTOCOLS.map(({ name }) => name).join(", ");
  throw refuse.badRequest(`unable to upgrade: offered [${offered.join(", ")}], served: ${known}`);
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

function fromBase64(message: Uint8Array): Uint8Array {
  const text = decoder.decode(message);
  const channel = text.charCodeAt(0) - 48;
  return Buffer.concat([Uint8Array.of(channel), Buffer.from(text.slice(1), "base64")]);
}

function toBase64(message: Uint8Array): Uint8Array {
  const channel = message[0] ?? 0;
  return encoder.encode(`${channel}${Buffer.from(message.subarray(1)).toString("base64")}`);
}

/** Undefined where this version has nothing to say. */
export function plainError(message: Uint8Array): Uint8Array | undefined {
  const text = decoder.decode(message.subarray(1));
  try {
    const status = JSON.parse(text) as { status?: string; message?: string };
    if (status.status === "Success") return undefined;
    return encoder.encode(`\u0003${status.message ?? "unknown error"}`);
  } catch {
    return message;
  }
}

export function toClient(protocol: Protocol, message: Uint8Array): Uint8Array | undefined {
  let out: Uint8Array | undefined = message;
  if (message[0] === CLOSE && !protocol.closes) return undefined;
  if (protocol.plainErrors && message[0] === ERROR_CHANNEL) out = plainError(message);
  return out !== undefined && protocol.base64 ? toBase64(out) : out;
}

export function fromClient(protocol: Protocol, message: Uint8Array): Uint8Array | undefined {
  if (message.length === 0) return undefined;
  return protocol.base64 ? fromBase64(message) : message;
}

/**
 * Carries messages both ways until both sides are over. Never rejects: what fails ends the other
 * side.
 */
export async function join(
  client: Channel,
  node: Channel,
  outward: (message: Uint8Array) => Uint8Array | undefined,
  inward: (message: Uint8Array) => Uint8Array | undefined,
): Promise<void> {
  const pump = async (
    from: Channel,
    to: Channel,
    change: (message: Uint8Array) => Uint8Array | undefined,
  ): Promise<void> => {
    try {
      await carry(from, to, change);
      to.end();
    } catch {
      to.abort("the other side went away");
      from.abort("the other side went away");
    }
  };
  await Promise.all([pump(client, node, inward), pump(node, client, outward)]);
}
