/**
 * A Fetch that remembers the objects which pods need to start (ConfigMaps, Secrets, volumes, tokens
 * of service accounts), and answers with them while the server is away.
 */

import type { Vault } from "#agents/offline/vault.ts";
import { type Clock, sleep } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { compoundKey } from "#base/key.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Fetch } from "#client/client.ts";

export interface RecallOptions {
  fetch: Fetch;
  vault: Vault;
  clock: Clock;
  log: Log;
}

/** One object by name, of the kinds that are asked for when a pod starts. */
const OBJECT =
  /^\/api\/v1\/(?:namespaces\/[^/]+\/(?:configmaps|secrets|persistentvolumeclaims)|persistentvolumes)\/[^/]+$/;
const RUNTIME_CLASS = /^\/apis\/node\.k8s\.io\/v1\/runtimeclasses\/[^/]+$/;
const TOKEN = /^\/api\/v1\/namespaces\/[^/]+\/serviceaccounts\/[^/]+\/token$/;

interface TokenQuestion {
  spec?: { audiences?: string[]; boundObjectRef?: { uid?: string } };
}

/** What the answer is kept as; undefined for what is not remembered. */
async function nameOf(request: Request): Promise<string | undefined> {
  const { pathname, search } = new URL(request.url);
  if (request.method === "GET" && search === "") {
    return OBJECT.test(pathname) || RUNTIME_CLASS.test(pathname) ? `object ${pathname}` : undefined;
  }
  if (request.method !== "POST" || !TOKEN.test(pathname)) return undefined;
  const { spec } = (await request.clone().json()) as TokenQuestion;
  const about = compoundKey(spec?.boundObjectRef?.uid, ...(spec?.audiences ?? []));
  return `token ${pathname} ${about}`;
}

/** No answer about the object: the server cannot serve now. */
const isAway = (status: number): boolean => status >= 500 || status === 429;

export function recallingFetch({ fetch, vault, clock, log }: RecallOptions): Fetch {
  /** The last question went unanswered: the next ones do not wait for long. */
  let away = false;

  function recalled(name: string): Response | undefined {
    const text = vault.read(name);
    if (text === undefined) return undefined;
    log.info("the server is away: using what it last told", { what: name });
    return new Response(text, { headers: { "content-type": "application/json" } });
  }

  function keep(name: string, text: string): void {
    try {
      vault.write(name, text);
    } catch (error) {
      log.warn("an object was not kept", { what: name, error: messageOf(error) });
    }
  }

  async function ask(request: Request, name: string): Promise<Response> {
    const answer = await fetch(request);
    away = false;
    if (isAway(answer.status)) return recalled(name) ?? answer;
    if (answer.status === 404) vault.remove(name);
    if (!answer.ok) return answer;
    const text = await answer.text();
    keep(name, text);
    return new Response(text, { status: answer.status, headers: answer.headers });
  }

  return async (request) => {
    const name = await nameOf(request);
    if (name === undefined) return fetch(request);
    const asked = ask(request, name);
    asked.catch(() => undefined);
    const patience = new AbortController();
    const patienceMs = away ? limits.recallAwayMs : limits.recallMs;
    const late = sleep(clock, patienceMs, patience.signal).then(() => undefined);
    try {
      const answer = await Promise.race([asked, late]);
      away = answer === undefined;
      return answer ?? recalled(name) ?? (await asked);
    } catch (error) {
      away = true;
      const known = request.signal.aborted ? undefined : recalled(name);
      if (known === undefined) throw error;
      return known;
    } finally {
      patience.abort();
    }
  };
}
