/**
 * The node's side of joining: check the server's CA against the token, hand in the public key, keep
 * what the node needs to come back without a token.
 */
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import type { JWK } from "jose";
import type { NodeIdentity } from "#agents/join/identity.ts";
import type { JoinToken } from "#agents/join/token.ts";
import { messageOf, OperatorError } from "#base/errors.ts";
import { readText, writeDurably } from "#base/files.ts";
import { limits } from "#base/limits.ts";

/** What the cluster tells a node at joining; kept in `DATA_DIR/node/cluster.json`. */
export interface ClusterInfo {
  caPem: string;
  /** URLs of servers, the one that answered first. */
  servers: string[];
  clusterCidr: string;
  serviceCidr: string;
  clusterDns: string;
  clusterDomain: string;
}

export const JOIN_PATH = "/bramble/v1/join";
export const CA_PATH = "/bramble/v1/ca";

/** What the server answers to a join. */
export interface JoinAnswer extends Omit<ClusterInfo, "caPem" | "servers"> {
  /** The server's clock. */
  nowMs: number;
}

/** What a device hands in; those of before said no version. */
export interface JoinRequest {
  nodeName: string;
  publicKey: JWK;
  version?: string;
}

/** `RetryLater`: it can get better by itself (the server is away); others need the operator. */
export class RetryLater extends Error {
  override name = "RetryLater";
}

const fileOf = (dir: string): string => join(dir, "cluster.json");

export function loadCluster(dir: string): ClusterInfo | undefined {
  const text = readText(fileOf(dir));
  return text === undefined ? undefined : (JSON.parse(text) as ClusterInfo);
}

export function saveCluster(dir: string, info: ClusterInfo): void {
  writeDurably(fileOf(dir), `${JSON.stringify(info)}\n`);
}

const timeout = (): AbortSignal => AbortSignal.timeout(limits.joinMsMax);

/** The server's CA, believed only when the token names it. */
async function trustedCa(server: string, token: JoinToken): Promise<string> {
  let pem: string;
  try {
    // The certificate can't be checked before its CA is known; the hash in the token stands in for
    // it.
    const answer = await fetch(`${server}${CA_PATH}`, {
      tls: { rejectUnauthorized: false },
      signal: timeout(),
    });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    pem = await answer.text();
  } catch (cause) {
    throw new RetryLater(`${server} does not answer: ${messageOf(cause)}`);
  }
  const hash = new Bun.CryptoHasher("sha256").update(new X509Certificate(pem).raw).digest("hex");
  if (hash !== token.caSha256) {
    throw new OperatorError(`${server} is not the cluster of this token: its CA differs`, {
      hint: "take a token made on that server, or name the right one with --server",
    });
  }
  return pem;
}

interface Refusal {
  message?: string;
}

const CLOCK_CODES = ["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"];

/** A certificate out of its time means a clock that is wrong by years: one of the two. */
function clockProblem(server: string, cause: unknown, nowMs: number): RetryLater | undefined {
  const { code } = (cause ?? {}) as { code?: unknown };
  if (!CLOCK_CODES.includes(String(code))) return undefined;
  const shown = new Date(nowMs).toISOString();
  return new RetryLater(
    `the certificate of ${server} is out of its time: this device's clock shows ${shown}; ` +
      "set it right (timedatectl set-time, or NTP)",
  );
}

export async function joinCluster(options: {
  server: string;
  token: JoinToken;
  nodeName: string;
  identity: NodeIdentity;
  /** The device's clock, as it is. */
  nowMs: number;
  /** Of this program. */
  version?: string;
}): Promise<{ info: ClusterInfo; serverMs: number }> {
  const { server, token, nodeName, identity, version } = options;
  const { publicKey } = identity;
  const request: JoinRequest = { nodeName, publicKey, ...(version !== undefined && { version }) };
  const caPem = await trustedCa(server, token);
  let answer: Response;
  try {
    answer = await fetch(`${server}${JOIN_PATH}`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${token.id}.${token.secret}`,
        "content-type": "application/json",
      },
      body: JSON.stringify(request),
      tls: { ca: caPem },
      signal: timeout(),
    });
  } catch (cause) {
    const problem = clockProblem(server, cause, options.nowMs);
    throw problem ?? new RetryLater(`joining ${server}: ${messageOf(cause)}`);
  }
  if (answer.status >= 500 || answer.status === 429) {
    throw new RetryLater(`joining ${server}: status ${answer.status}`);
  }
  if (!answer.ok) {
    const refusal = (await answer.json().catch(() => ({}))) as Refusal;
    const message = refusal.message ?? `joining ${server}: status ${answer.status}`;
    // Somebody may free the name on the server, or upgrade it.
    if (answer.status === 409) throw new RetryLater(message);
    throw new OperatorError(message);
  }
  const { nowMs, ...info } = (await answer.json()) as JoinAnswer;
  return { info: { ...info, caPem, servers: [server] }, serverMs: nowMs };
}
