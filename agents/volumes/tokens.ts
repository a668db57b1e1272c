/** Service account tokens of pods, asked for once and renewed at four fifths of their life. */

import type { ServiceToken } from "#agents/volumes/render.ts";
import type { VolumeRequest } from "#agents/volumes/volumes.ts";
import type { Clock } from "#base/clock.ts";
import { compoundKey } from "#base/key.ts";
import type { Client } from "#client/client.ts";
import { serviceAccounts } from "#resources/kinds/serviceaccount.ts";
import type { TokenRequest } from "#resources/types.gen.ts";

/** As upstream: at 80 % of the life, and after a day at the latest. */
const RENEW_SHARE = 0.8;
const RENEW_MS_MAX = 24 * 3600 * 1000;
const RETRY_MS = 60_000;

export class Tokens {
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #known = new Map<string, ServiceToken & { expiresAtMs: number }>();

  constructor(client: Client, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  async get(request: VolumeRequest, audience: string, seconds: number): Promise<ServiceToken> {
    const { name, namespace = "", uid } = request.pod.metadata;
    const key = compoundKey(uid, audience, String(seconds));
    const known = this.#known.get(key);
    if (known !== undefined && known.renewAtMs > this.#clock.now()) return known;
    const account = request.pod.spec?.serviceAccountName || "default";
    const body: TokenRequest = {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: {
        audiences: audience === "" ? [] : [audience],
        expirationSeconds: seconds,
        boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid },
      },
    };
    const ref = { namespace, name: account };
    let answer: unknown;
    try {
      answer = await this.#client.post(serviceAccounts, ref, "token", body);
    } catch (error) {
      if (known === undefined || known.expiresAtMs <= this.#clock.now()) throw error;
      // Still good: it is asked for again a little later.
      const renewAtMs = this.#clock.now() + RETRY_MS;
      this.#known.set(key, { ...known, renewAtMs });
      return { token: known.token, renewAtMs };
    }
    const { status } = answer as TokenRequest;
    if (status === undefined) throw new Error(`no token for serviceaccount "${account}"`);
    const nowMs = this.#clock.now();
    const lifeMs = Date.parse(status.expirationTimestamp) - nowMs;
    const renewAtMs = nowMs + Math.min(RENEW_MS_MAX, lifeMs * RENEW_SHARE);
    const expiresAtMs = nowMs + lifeMs;
    this.#known.set(key, { token: status.token, renewAtMs, expiresAtMs });
    return { token: status.token, renewAtMs };
  }

  forget(uid: string): void {
    for (const key of this.#known.keys()) if (key.startsWith(`${uid}|`)) this.#known.delete(key);
  }
}
