/**
 * The server's side of joining. The public key of a node is a Secret,
 * `kube-system/NAME.node-key.bramble`; a name belongs to the key that came first, until someone
 * removes the Secret (`bramble node remove`).
 */
import { createPublicKey } from "node:crypto";
import type { JWK } from "jose";
import type { JoinToken } from "#agents/join/token.ts";
import type { Client } from "#client/client.ts";
import { isConflict, isNotFound } from "#client/client.ts";
import {
  isExpired,
  isToken,
  TOKEN_NODE,
  TOKEN_USES,
  tokenField,
  tokenParts,
  tokenSecretName,
  usesLeft,
} from "#resources/bootstraptoken.ts";
import { leases } from "#resources/kinds/lease.ts";
import { nodes } from "#resources/kinds/node.ts";
import { secrets } from "#resources/kinds/secret.ts";
import type { Stored } from "#resources/meta.ts";
import { checkName } from "#resources/names.ts";
import type { Secret } from "#resources/types.gen.ts";

const NAMESPACE = "kube-system";
/** Equals the limit of a label value, because nodes are selected by a label with their name. */
const NAME_LENGTH_MAX = 63;
/** 32 bytes. */
const COORDINATE = /^[A-Za-z0-9_-]{43}$/;
/** Prefix of the Lease that each server of a cluster with several servers renews. */
const SERVER_LEASE = "bramble-server-";

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
/**
 * Stores a token as Kubernetes stores bootstrap tokens, with the number of joins it is good for.
 */
export async function storeToken(
  client: Client,
  token: JoinToken,
  options: {
    expiresAtMs?: number;
    uses?: number;
    description?: string;
    /** The only node that may join with it. */
    nodeName?: string;
  },
): Promise<void> {
  const data: Record<string, string> = {
    "token-id": base64(token.id),
    "token-secret": base64(token.secret),
    "usage-bootstrap-authentication": base64("true"),
    "usage-bootstrap-signing": base64("true"),
  };
  if (options.description !== undefined) data["description"] = base64(options.description);
  if (options.uses !== undefined) data[TOKEN_USES] = base64(String(options.uses));
  if (options.nodeName !== undefined) data[TOKEN_NODE] = base64(options.nodeName);
  if (options.expiresAtMs !== undefined) {
    data["expiration"] = base64(new Date(options.expiresAtMs).toISOString());
  }
  await client.create(secrets, {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { namespace: NAMESPACE, name: tokenSecretName(token.id) },
    type: "bootstrap.kubernetes.io/token",
    data,
  });
}

const AGAIN = "make another on the server: bramble token create";
const refused = (why: string): JoinRefused => new JoinRefused(401, `${why}; ${AGAIN}`);
const unknown = (): JoinRefused =>
  refused("this cluster does not know the token: it is wrong, deleted or expired");

/** Returns the token's Secret. Its uses may be spent. @throws JoinRefused. */
export async function findToken(
  client: Client,
  bearer: string,
  nowMs: number,
): Promise<Stored<Secret>> {
  const parts = tokenParts(bearer);
  if (parts === undefined) throw unknown();
  const name = tokenSecretName(parts.id);
  const stored = await client.get(secrets, { namespace: NAMESPACE, name });
  if (stored === undefined || !isToken(stored, parts)) throw unknown();
  if (isExpired(stored, nowMs)) {
    const expiration = tokenField(stored, "expiration");
    throw refused(`the token expired at ${expiration}, now is ${new Date(nowMs).toISOString()}`);
  }
  return stored;
}

async function spendToken(client: Client, token: Stored<Secret>): Promise<void> {
  const uses = usesLeft(token);
  if (uses === undefined) return;
  if (uses === 0) throw refused("the token is used up");
  const data = { ...token.data, [TOKEN_USES]: base64(String(uses - 1)) };
  try {
    await client.update(secrets, { ...token, data });
  } catch (error) {
    if (isConflict(error)) throw new JoinRefused(503, "another device joins right now, try again");
    if (isNotFound(error)) throw unknown();
    throw error;
  }
}

const taken = (nodeName: string): JoinRefused =>
  new JoinRefused(
    409,
    `the name ${nodeName} belongs to another device, or to this one before its disk was made ` +
      `anew: run "bramble node remove ${nodeName}" on the server, or take another --node-name`,
  );

/** Rejects names of servers, and of Nodes that were registered without a key. */
async function refuseTaken(
  client: Client,
  { nodeName, serverName }: Pick<Joining, "nodeName" | "serverName">,
): Promise<void> {
  const lease = { namespace: NAMESPACE, name: `${SERVER_LEASE}${nodeName}` };
  const isServer = nodeName === serverName.toLowerCase();
  if (isServer || (await client.get(leases, lease)) !== undefined) {
    throw new JoinRefused(409, `the name ${nodeName} is a server's: take another --node-name`);
  }
  if ((await client.get(nodes, { name: nodeName })) !== undefined) throw taken(nodeName);
}

function checkNames({ nodeName, publicKey }: Joining): void {
  const long = nodeName.length > NAME_LENGTH_MAX;
  if (long || checkName(nodeName, "subdomain", "").length > 0) {
    throw new JoinRefused(
      400,
      `node name "${nodeName}" must be a DNS name in lower case of at most ${NAME_LENGTH_MAX} ` +
        "characters: set --node-name",
    );
  }
  if (!isPublicKey(publicKey)) {
    throw new JoinRefused(400, "the node's key must be a public P-256 key");
  }
}

const isCoordinate = (value: unknown): value is string =>
  typeof value === "string" && COORDINATE.test(value);

function isPublicKey({ kty, crv, x, y, d }: JWK): boolean {
  if (kty !== "EC" || crv !== "P-256" || d !== undefined) return false;
  if (!isCoordinate(x) || !isCoordinate(y)) return false;
  try {
    createPublicKey({ key: { kty, crv, x, y }, format: "jwk" });
    return true;
  } catch {
    return false;
  }
}

export interface Joining {
  readonly bearer: string;
  readonly nodeName: string;
  readonly publicKey: JWK;
  readonly nowMs: number;
  /** This server's own. */
  readonly serverName: string;
}

/** Registers a node's key, or recognises it. Throws JoinRefused. */
export async function admitNode(client: Client, joining: Joining): Promise<void> {
  const { nodeName, publicKey } = joining;
  const token = await findToken(client, joining.bearer, joining.nowMs);
  checkNames(joining);
  const only = tokenField(token, TOKEN_NODE);
  if (only !== "" && only !== nodeName) {
    throw new JoinRefused(403, `the token is for the node ${only}: set --node-name ${only}`);
  }
  const tokenId = tokenField(token, "token-id");
  const ref = { namespace: NAMESPACE, name: nodeKeySecret(nodeName) };
  const known = await client.get(secrets, ref);
  if (known === undefined) {
    if (usesLeft(token) === 0) throw refused("the token is used up");
    await refuseTaken(client, joining);
    await spendToken(client, token);
    await register(client, nodeKeyOf(nodeName, publicKey, tokenId), nodeName);
    return;
  }
  const key = JSON.parse(tokenField(known, "key")) as JWK;
  const isSame = key.x === publicKey.x && key.y === publicKey.y;
  // The answer to a join may be lost. The same key may then repeat it with the same token.
  const isAgain = isSame && tokenField(known, "token") === tokenId;
  if (usesLeft(token) === 0 && !isAgain) throw refused("the token is used up");
  if (!isSame) throw taken(nodeName);
}

async function register(client: Client, secret: Secret, nodeName: string): Promise<void> {
  try {
    await client.create(secrets, secret);
  } catch (error) {
    if (isConflict(error)) throw taken(nodeName);
    throw error;
  }
}

function nodeKeyOf(nodeName: string, { kty, crv, x, y }: JWK, tokenId?: string): Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { namespace: NAMESPACE, name: nodeKeySecret(nodeName) },
    type: "bramble.dev/node-key",
    data: {
      key: base64(JSON.stringify({ kty, crv, x, y })),
      ...(tokenId !== undefined && { token: base64(tokenId) }),
    },
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
  else if (tokenField(known, "key") !== tokenField(wanted, "key")) {
    await client.update(secrets, { ...known, data: wanted.data ?? {} });
  }
}
