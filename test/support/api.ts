/** A whole API in this process, on a store in memory: for component tests. */
import { type Api, type ApiOptions, createApi } from "#api/app.ts";
import { createCodec } from "#api/codec.ts";
import type { RequestEnv, UserInfo } from "#api/core.ts";
import type { NodeLinks } from "#api/nodes.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { realRandom } from "#base/random.ts";
import { kinds } from "#resources/kinds.ts";
import type { ApiObject } from "#resources/meta.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import type { Store } from "#store/store.ts";

export const ADMIN: UserInfo = { name: "admin", groups: ["system:masters"] };
export const ADMIN_TOKEN = "admin-token";

export interface TestAnswer {
  readonly code: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came back.
  readonly body: any;
  readonly headers: Headers;
  readonly text: string;
}

export interface TestWatch {
  readonly code: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came back.
  next(): Promise<any>;
  /** Everything up to the end that the server makes. */
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  rest(): Promise<any[]>;
  end(): void;
}

export interface TestApi {
  readonly api: Api;
  readonly store: Store;
  /** As the admin unless another user is named. Body: an object becomes JSON. */
  call(
    method: string,
    path: string,
    body?: object | string,
    options?: { headers?: Record<string, string>; user?: UserInfo; signal?: AbortSignal },
  ): Promise<TestAnswer>;
  /** The raw answer, for streams. */
  raw(path: string, init?: RequestInit, env?: RequestEnv): Promise<Response>;
  /** A watch; `next` waits for an event, `end` closes it. */
  watch(path: string, options?: { accept?: string; user?: UserInfo }): Promise<TestWatch>;
  /** Creates and answers the object; throws where that is refused. */
  create<T extends ApiObject>(path: string, object: T): Promise<T>;
  close(): Promise<void>;
}

async function* linesOf(response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  if (response.body === null) return;
  for await (const chunk of response.body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines.filter((line) => line !== "");
  }
  if (rest !== "") yield rest;
}

function watchOver(response: Response, gone: AbortController): TestWatch {
  const lines = linesOf(response);
  const next = async () => {
    const { done, value } = await lines.next();
    return done === true ? undefined : JSON.parse(value);
  };
  return {
    code: response.status,
    next,
    async rest() {
      const all = [];
      for (let event = await next(); event !== undefined; event = await next()) all.push(event);
      return all;
    },
    end: () => gone.abort(),
  };
}

const NO_NODES: NodeLinks = { link: () => undefined, appears: async () => undefined };

export async function startApi(options: Partial<ApiOptions> = {}): Promise<TestApi> {
  const log = options.log ?? silentLog;
  const clock = options.clock ?? realClock;
  const codec = createCodec(options.kinds ?? kinds);
  const store = options.store ?? (await openSqliteStore({ path: ":memory:", codec, clock, log }));
  const api = createApi({
    store,
    kinds,
    clock,
    random: realRandom,
    log,
    nodeLinks: NO_NODES,
    auth: { tokens: new Map([[ADMIN_TOKEN, ADMIN]]) },
    ...options,
  });
  await api.start();

  const raw: TestApi["raw"] = (path, init = {}, env = { user: ADMIN }) =>
    api.fetch(new Request(`http://test.internal${path}`, init), env);

  const call: TestApi["call"] = async (method, path, body, more = {}) => {
    const init: RequestInit = { method, headers: more.headers ?? {} };
    if (body !== undefined) init.body = typeof body === "string" ? body : JSON.stringify(body);
    if (more.signal !== undefined) init.signal = more.signal;
    if (body !== undefined && more.headers?.["content-type"] === undefined) {
      init.headers = { ...init.headers, "content-type": "application/json" };
    }
    const response = await raw(path, init, { user: more.user ?? ADMIN });
    const text = await response.text();
    const isJson = (response.headers.get("content-type") ?? "").startsWith("application/json");
    return {
      code: response.status,
      body: isJson && text !== "" ? JSON.parse(text) : text,
      headers: response.headers,
      text,
    };
  };

  return {
    api,
    store,
    call,
    raw,
    async watch(path, { accept, user } = {}) {
      const gone = new AbortController();
      const headers = accept === undefined ? {} : { accept };
      const init = { headers, signal: gone.signal };
      return watchOver(await raw(path, init, { user: user ?? ADMIN }), gone);
    },
    async create(path, object) {
      const answer = await call("POST", path, object);
      if (answer.code !== 201) throw new Error(`create at ${path}: ${answer.text}`);
      return answer.body;
    },
    async close() {
      api.close();
      if (options.store === undefined) await store.close();
    },
  };
}
