/**
 * The server's side of joining. The public key of a node is a Secret,
 * `kube-system/NAME.node-key.bramble`; a name belongs to the key that came first, until someone
 * removes the Secret (`bramble node remove`).
 */
import { timingSafeEqual } from "node:crypto";
import type { JWK } from "jose";
import type { JoinToken } from "#agents/join/token.ts";
import type { Client } from "#client/client.ts";
import { isConflict } from "#client/client.ts";
import { secrets } from "#resources/kinds/secret.ts";
import type { Secret } from "#resources/types.gen.ts";

const NAMESPACE = "kube-system";
const NAME_PATTERN = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/;

export const nodeKeySecret = (nodeName: string): string => `${nodeName}.node-key.bramble`;

/** Joining was refused; the message goes to the device's operator. */
export class JoinRefused extends Error {
  override name = "JoinRefused";
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const field = (secret: Secret, key: string): string =>
  Buffer.from(secret.data?.[key] ?? "", "base64").toString();

const same = (a: string, b: string): boolean =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

/**
 * Stores a token as Kubernetes stores bootstrap tokens, with the number of joins it is good for.
 */
export async function storeToken(
  client: Client,
  token: JoinToken,
  options: { expiresAtMs?: number; uses?: number; description?: string },
): Promise<void> {
  const data: Record<string, string> = {
    "token-id": base64(token.id),
    "token-secret": base64(token.secret),
    "usage-bootstrap-authentication": base64("true"),
    "usage-bootstrap-signing": base64("true"),
  };
  if (options.description !== undefined) data["description"] = base64(options.description);
  if (options.uses !== undefined) data["bramble-uses"] = base64(String(options.uses));
  if (options.expiresAtMs !== undefined) {
    data["expiration"] = base64(new Date(options.expiresAtMs).toISOString());
  }
  await client.create(secrets, {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { namespace: NAMESPACE, name: `bootstrap-token-${token.id}` },
    type: "bootstrap.kubernetes.io/token",
    data,
  });
}

const AGAIN = "make another on the server: bramble token create";
const refused = (why: string): JoinRefused => new JoinRefused(401, `${why}; ${AGAIN}`);

async function spendToken(client: Client, bearer: string, nowMs: number): Promise<void> {
  const [id = "", secret = ""] = bearer.split(".");
  const unknown = "this cluster does not know the token: it is wrong, deleted or expired";
  if (!/^[a-z0-9]{6}$/.test(id)) throw refused(unknown);
  const stored = await client.get(secrets, { namespace: NAMESPACE, name: `bootstrap-token-${id}` });
  if (stored === undefined || !same(field(stored, "token-secret"), secret)) throw refused(unknown);
  const expiration = field(stored, "expiration");
  if (expiration !== "" && Date.parse(expiration) <= nowMs) {
    throw refused(`the token expired at ${expiration}, now is ${new Date(nowMs).toISOString()}`);
  }
  const uses = field(stored, "bramble-uses");
  if (uses === "") return;
  if (Number(uses) <= 0) throw refused("the token is used up");
  const data = { ...stored.data, "bramble-uses": base64(String(Number(uses) - 1)) };
  try {
    await client.update(secrets, { ...stored, data });
  } catch (error) {
    if (isConflict(error)) throw new JoinRefused(503, "another device joins right now, try again");
    throw error;
  }
}

/** Registers a node's key, or recognises it. Throws JoinRefused. */
export async function admitNode(
  client: Client,
  request: { bearer: string; nodeName: string; publicKey: JWK; nowMs: number },
): Promise<void> {
  const { nodeName, publicKey } = request;
  if (!NAME_PATTERN.test(nodeName)) {
    throw new JoinRefused(400, `node name "${nodeName}" must be a DNS name in lower case`);
  }
  if (publicKey.kty !== "EC" || publicKey.crv !== "P-256" || publicKey.d !== undefined) {
    throw new JoinRefused(400, "the node's key must be a public P-256 key");
  }
  const ref = { namespace: NAMESPACE, name: nodeKeySecret(nodeName) };
  const known = await client.get(secrets, ref);
  if (known !== undefined) {
    const key = JSON.parse(field(known, "key")) as JWK;
    if (key.x === publicKey.x && key.y === publicKey.y) return;
    throw new JoinRefused(
      409,
      `the name ${nodeName} belongs to another device, or to this one before its disk was made ` +
        `anew: run "bramble node remove ${nodeName}" on the server, or take another --node-name`,
    );
  }
  await spendToken(client, request.bearer, request.nowMs);
  await client.create(secrets, nodeKeyOf(nodeName, publicKey));
}

function nodeKeyOf(nodeName: string, { kty, crv, x, y }: JWK): Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { namespace: NAMESPACE, name: nodeKeySecret(nodeName) },
    type: "bramble.dev/node-key",
    data: { key: base64(JSON.stringify({ kty, crv, x, y })) },
  };
}

/** The key of a server's own node: it needs no token, and a new disk of it no leave. */
export async function registerOwnNode(
  client: Client,
  own: { nodeName: string; publicKey: JWK },
): Promise<void> {
  const wanted = nodeKeyOf(own.nodeName, own.publicKey);
  const ref = { namespace: NAMESPACE, name: nodeKeySecret(own.nodeName) };
  const known = await client.get(secrets, ref);
  if (known === undefined) await client.create(secrets, wanted);
  else if (field(known, "key") !== field(wanted, "key")) {
    await client.update(secrets, { ...known, data: wanted.data ?? {} });
  }
}
