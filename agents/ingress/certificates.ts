/** Certificates of Secrets, as they are now: a changed one is in the next handshake. */
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import type { Pair } from "#agents/ingress/listen.ts";
import type { Table } from "#agents/ingress/plan.ts";
import type { ObjectSource } from "#agents/volumes/volumes.ts";
import type { Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { TLS_CIPHERS } from "#base/tls.ts";
import { issueCertificate } from "#base/x509.ts";

interface Kept {
  context: SecureContext | undefined;
  /** Of the last Secret that could not be used, so that it is told once. */
  problem: string | undefined;
  end: () => void;
}

const CERT = "tls.crt";
const KEY = "tls.key";
const SELF_SIGNED_DAYS = 3650;
const DAY_MS = 86_400_000;

/** Returns the TLS context of one host. It replaces the cipher list of the listener. */
export const secureContextOf = (pair: Pair): SecureContext =>
  createSecureContext({ ...pair, ciphers: TLS_CIPHERS });

export class Certificates {
  readonly #objects: ObjectSource;
  readonly #log: Log;
  /** By `namespace/name` of the Secret. */
  readonly #kept = new Map<string, Kept>();
  #names: ReadonlyMap<string, string> = new Map();

  constructor(objects: ObjectSource, log: Log) {
    this.#objects = objects;
    this.#log = log;
  }

  /** Resolves once the Secrets that are new have been looked at. */
  async follow({ certificates }: Pick<Table, "certificates">): Promise<void> {
    const wanted = new Set(certificates.values());
    for (const [key, kept] of this.#kept) {
      if (wanted.has(key)) continue;
      kept.end();
      this.#kept.delete(key);
    }
    const fresh = [...wanted].filter((key) => !this.#kept.has(key));
    await Promise.all(fresh.map((key) => this.#add(key)));
    this.#names = certificates;
  }

  /** By server name: the host itself, its wildcard, or what is for everybody. */
  contextOf(name: string): SecureContext | undefined {
    const host = name.toLowerCase();
    const wildcard = `*${host.slice(Math.max(host.indexOf("."), 0))}`;
    for (const each of [host, wildcard, ""]) {
      const key = this.#names.get(each);
      const context = key === undefined ? undefined : this.#kept.get(key)?.context;
      if (context !== undefined) return context;
    }
    return undefined;
  }

  stop(): void {
    for (const { end } of this.#kept.values()) end();
    this.#kept.clear();
  }

  async #add(key: string): Promise<void> {
    const [namespace = "", name = ""] = key.split("/");
    const kept: Kept = { context: undefined, problem: undefined, end: () => {} };
    this.#kept.set(key, kept);
    kept.end = this.#objects.watch("secret", namespace, name, () => void this.#load(key));
    await this.#load(key);
  }

  async #load(key: string): Promise<void> {
    const [namespace = "", name = ""] = key.split("/");
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    let problem: string | undefined;
    try {
      const data = await this.#objects.get("secret", namespace, name);
      if (data === undefined) {
        kept.context = undefined;
        problem = "there is no such Secret";
      } else {
        kept.context = secureContextOf(pairOf(data));
      }
    } catch (error) {
      // The last good one stays in use: better than one that no client trusts.
      problem = messageOf(error);
    }
    if (problem !== undefined && problem !== kept.problem) {
      this.#log.warn("the certificate of an Ingress cannot be used", {
        secret: key,
        error: problem,
      });
    }
    kept.problem = problem;
  }
}

/** Throws where one is missing: without a certificate every handshake would fail. */
function pairOf(data: ReadonlyMap<string, Uint8Array>): Pair {
  const [cert, key] = [CERT, KEY].map((entry) => Buffer.from(data.get(entry) ?? []).toString());
  if (!cert || !key) throw new Error(`it has no ${cert ? KEY : CERT}`);
  return { cert, key };
}

/** For clients that ask for a host that nobody has a certificate for. */
export function selfSigned(clock: Clock, random: Random): Pair {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const cert = issueCertificate({
    subject: { commonName: "bramble Ingress default certificate" },
    altNames: { dns: ["ingress.invalid"], ips: [] },
    publicKey: createPublicKey(privateKey).export({ type: "spki", format: "der" }),
    signingKey: privateKey,
    serial: random.bytes(16),
    notBeforeMs: 0,
    notAfterMs: clock.now() + SELF_SIGNED_DAYS * DAY_MS,
    uses: ["server auth"],
  });
  return { cert, key: privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}
