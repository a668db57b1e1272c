/**
 * The API server: one function from Request to Response. It authenticates, authorizes and hands
 * over by verb; it never asks for a kind. What is left to others: sockets (`listener.ts`), storing
 * (`store/`), and every decision about workloads (controllers, as clients of this API).
 */
import type { Hono } from "hono";
import { admissionPlugins } from "#api/admission/all.ts";
import { createAdmission } from "#api/admission.ts";
import { createAggregation, type FrontProxy } from "#api/aggregation/aggregator.ts";
import { Trail, type TrailParts } from "#api/audit/trail.ts";
import { followAggregation } from "#api/auth/aggregation.ts";
import { createAuthenticator, type TokenSource } from "#api/auth/authenticate.ts";
import { createAuthorizer } from "#api/auth/authorize.ts";
import { bootstrapTokens } from "#api/auth/bootstrap.ts";
import { impersonated, impersonates } from "#api/auth/impersonate.ts";
import { nodeAuthorizer } from "#api/auth/nodeauthorizer.ts";
import { nodeCertificates, nodeTokens } from "#api/auth/nodes.ts";
import { rbac } from "#api/auth/rbac.ts";
import { createRoles } from "#api/auth/roles.ts";
import { serviceAccountTokens } from "#api/auth/serviceaccounts.ts";
import { createSigner } from "#api/auth/signer.ts";
import { boot } from "#api/boot.ts";
import { compactHistory } from "#api/compaction.ts";
import type { Core, RequestEnv, UserInfo } from "#api/core.ts";
import { createDirect, type Direct } from "#api/direct.ts";
import { defaultNetwork, type OutboundNetwork } from "#api/endpoints.ts";
import { insistOnWrites } from "#api/ensure.ts";
import { ApiError, refuse, statusOf } from "#api/errors.ts";
import { expireEvents } from "#api/expiry.ts";
import { createFlowControl, type FlowControl } from "#api/fair/flowcontrol.ts";
import type { Check } from "#api/health.ts";
import { InFlight } from "#api/inflight.ts";
import { createMetrics } from "#api/metrics.ts";
import type { NodeLinks } from "#api/nodes.ts";
import { createRegistry } from "#api/registry.ts";
import { respondStatus } from "#api/respond.ts";
import { serveResource, verbFor } from "#api/route.ts";
import { Runs } from "#api/runs.ts";
import { defaultSettings, type Settings } from "#api/settings.ts";
import { openAnswer, type SystemParts, systemRoutes } from "#api/system.ts";
import { parseTarget, type Target } from "#api/target.ts";
import { AskedUsages } from "#api/usage.ts";
import { Views } from "#api/views.ts";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import type { Kind } from "#resources/kind.ts";
import type { Store, Term } from "#store/store.ts";
import { inTerm } from "#store/term.ts";

export interface AuthOptions {
  /** Tokens that are good as they are, as the admin's. */
  readonly tokens?: Pick<ReadonlyMap<string, UserInfo>, "get">;
  /** Asked for tokens that nobody else knows. */
  readonly lastSources?: readonly TokenSource[];
  /**
   * Signs service account tokens (ES256), PEM; without it one is made that dies with the process.
   */
  readonly serviceAccountKey?: { readonly privatePem: string; readonly publicPem: string };
  /** Shown to extension API servers, so that they believe who asks. */
  readonly frontProxy?: FrontProxy;
}

export interface ApiOptions {
  readonly store: Store;
  readonly kinds: readonly Kind[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly nodeLinks: NodeLinks;
  readonly auth: AuthOptions;
  readonly settings?: Partial<Settings>;
  /** Default: names are asked for, and this machine has no address of its own. */
  readonly network?: Partial<OutboundNetwork>;
  /** Without it no audit log is written. */
  readonly audit?: Pick<TrailParts, "policy" | "write">;
}

export interface Api {
  /** `env.user` is for callers in this process: they need no token. */
  fetch(request: Request, env?: RequestEnv): Promise<Response>;
  /** Lists and watches of this process's own parts, with full rights. */
  readonly direct: Direct;
  /**
   * Serves a path outside the Kubernetes API and records it in the audit log. `caller`
   * authenticates the request as the API does.
   */
  beside(
    request: Request,
    env: RequestEnv,
    serve: (caller: () => Promise<UserInfo | undefined>) => Promise<Response>,
  ): Promise<Response>;
  /**
   * Makes what every cluster has (namespaces, roles, the `kubernetes` Service); `/readyz` waits for
   * it.
   */
  start(): Promise<void>;
  /** Ends sweeps. The store is the caller's to close. */
  close(): void;
}

/** Path and query of an absolute URL, without building one. */
function split(url: string): { path: string; query: string } {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  if (start < 0) return { path: "/", query: "" };
  const mark = url.indexOf("?", start);
  if (mark < 0) return { path: url.slice(start), query: "" };
  return { path: url.slice(start, mark), query: url.slice(mark + 1) };
}

function createCore(options: ApiOptions): Core {
  const { store, clock, random, log, nodeLinks, auth } = options;
  const settings: Settings = { ...defaultSettings, ...options.settings };
  const roles = createRoles(store, log);
  const signer = createSigner(auth.serviceAccountKey, clock);
  const core = {
    store,
    clock,
    random,
    log,
    nodeLinks,
    network: { ...defaultNetwork, ...options.network },
    usages: new AskedUsages({ links: nodeLinks, clock, log }),
    registry: createRegistry(options.kinds),
    settings,
    signer,
    views: new Views(),
    runs: new Runs(clock),
    authenticator: createAuthenticator({
      fixed: auth.tokens ?? new Map<string, UserInfo>(),
      sources: [
        nodeTokens(store, clock, settings.audiences),
        serviceAccountTokens({ store, clock, settings, signer }),
        bootstrapTokens(store, clock),
        ...(auth.lastSources ?? []),
      ],
      vouches: nodeCertificates(store),
      audiences: settings.audiences,
    }),
    roles,
    authorizer: createAuthorizer([nodeAuthorizer(store), rbac(roles)]),
    admission: createAdmission([]),
  };
  core.admission = createAdmission(admissionPlugins.map((make) => make(core)));
  return core;
}

interface Parts extends SystemParts {
  readonly audit: TrailParts | undefined;
  readonly inFlight: InFlight;
  readonly flowControl: FlowControl;
  readonly system: Hono;
}

/** Follows a request into the audit log, where there is one. */
function trailOf(parts: Parts, request: Request, env: RequestEnv): Trail | undefined {
  const { audit } = parts;
  if (audit === undefined) return undefined;
  const { path, query } = split(request.url);
  let target: Target | undefined;
  let verb = request.method.toLowerCase();
  try {
    target = path.startsWith("/api") ? parseTarget(path) : undefined;
    if (target !== undefined) verb = verbFor(request.method, target, query);
  } catch {
    // A method that is not served is logged by its own name, a malformed path without a resource.
  }
  const uri = query === "" ? path : `${path}?${query}`;
  return new Trail(audit, { request, env, uri, verb, path, target });
}

async function handle(
  parts: Parts,
  request: Request,
  env: RequestEnv,
  trail: Trail | undefined,
): Promise<Response> {
  const { core } = parts;
  const { path, query } = split(request.url);
  const isApi = path.startsWith("/api");
  if (!isApi) {
    const open = openAnswer(parts, path, query);
    if (open !== undefined) return open;
  }
  const found = env.user ?? core.authenticator.authenticate(request, env);
  const caller = found instanceof Promise ? await found : found;
  trail?.identified(caller);
  const user = impersonates(request)
    ? await impersonated(request, core.authorizer, caller)
    : caller;
  if (user !== caller) trail?.actsAs(user);
  const target = isApi ? parseTarget(path) : undefined;
  const annotate = trail?.annotate;
  const known: Known = {
    ...{ request, env, user, path, query, target },
    ...(annotate && { annotate }),
  };
  if (env.user !== undefined) return answer(parts, known);
  const verb = target === undefined ? methodVerb(request) : verbFor(request.method, target, query);
  const turn = parts.flowControl.enter({ user, verb, path, target });
  const done = turn instanceof Promise ? await turn : turn;
  try {
    return await answer(parts, known);
  } finally {
    done();
  }
}

const methodVerb = (request: Request): string => request.method.toLowerCase();

/** A request of which is known who asks for what. */
interface Known {
  readonly request: Request;
  readonly env: RequestEnv;
  readonly user: UserInfo;
  readonly path: string;
  readonly query: string;
  readonly target: Target | undefined;
  readonly annotate?: Trail["annotate"];
}

const cores = new WeakMap<Term, Core>();

/** The same but for its datastore. */
function coreIn(core: Core, term: Term | undefined): Core {
  if (term === undefined) return core;
  let known = cores.get(term);
  if (known === undefined) {
    known = { ...core, store: inTerm(core.store, term) };
    cores.set(term, known);
  }
  return known;
}

async function answer(parts: Parts, known: Known): Promise<Response> {
  const { system, inFlight } = parts;
  const { request, env, user, path, query, target, annotate } = known;
  const core = coreIn(parts.core, env.term);
  if (target !== undefined && parts.aggregation.serves(target.group, target.version)) {
    const { rest: _rest, watch: _watch, ...about } = target;
    const verb = verbFor(request.method, target, query);
    await core.authorizer.require({ user, verb, ...about }, annotate);
    return parts.aggregation.proxy({ request, env, user }, target.group, target.version);
  }
  if (target !== undefined) {
    inFlight.enter();
    try {
      const incoming = { request, env, user, target, query, ...(annotate && { annotate }) };
      return await serveResource(core, incoming);
    } finally {
      inFlight.leave();
    }
  }
  // Such a path has one spelling: another one would pass rules that name the first.
  if (path.includes("%")) throw refuse.noPath();
  await core.authorizer.require({ user, verb: methodVerb(request), path }, annotate);
  const other = parts.aggregation.claims(path);
  if (other !== undefined) return parts.aggregation.pass({ request, env, user }, other);
  const found = await system.fetch(request);
  if (found.status === 404 && found.body === null) throw refuse.noPath();
  return found;
}

export function createApi(options: ApiOptions): Api {
  const core = createCore(options);
  const inFlight = new InFlight();
  const metrics = createMetrics(core, inFlight);
  let started = false;
  const checks: Check[] = [
    { name: "ping", live: true, run: () => undefined },
    {
      name: "poststarthook/bootstrap",
      live: false,
      run: () => (started ? undefined : "not finished"),
    },
  ];
  const aggregation = createAggregation(core, options.auth.frontProxy);
  const base: SystemParts = { core, checks, metrics, aggregation };
  const { clock, random } = core;
  const audit = options.audit && {
    ...options.audit,
    now: () => clock.now(),
    uuid: () => random.uuid(),
  };
  const flowControl = createFlowControl(core);
  const parts: Parts = { ...base, inFlight, flowControl, audit, system: systemRoutes(base) };
  const ends: Array<() => void> = [];

  return {
    direct: createDirect(core),
    async beside(request, env, serve) {
      const trail = parts.audit === undefined ? undefined : trailOf(parts, request, env);
      const caller = async (): Promise<UserInfo | undefined> => {
        try {
          const user = await core.authenticator.authenticate(request, env);
          trail?.identified(user);
          return user;
        } catch (error) {
          if (error instanceof ApiError && error.status.code === 401) return undefined;
          throw error;
        }
      };
      let response: Response;
      try {
        response = await serve(caller);
      } catch (error) {
        response = respondStatus(statusOf(error, core.log));
      }
      return trail?.answered(response) ?? response;
    },
    async fetch(request, env = {}) {
      const trail = parts.audit === undefined ? undefined : trailOf(parts, request, env);
      let response: Response;
      try {
        response = await handle(parts, request, env, trail);
      } catch (error) {
        response = respondStatus(statusOf(error, core.log));
      }
      if (trail !== undefined) response = trail.answered(response);
      metrics.count(request.method, response.status);
      return response;
    },
    async start() {
      ends.push(await core.roles.start(), ...(await core.admission.start()));
      ends.push(await insistOnWrites(core, "making what every cluster has", () => boot(core)));
      ends.push(await flowControl.start());
      ends.push(await aggregation.start());
      ends.push(followAggregation(core, core.roles), expireEvents(core), compactHistory(core));
      started = true;
    },
    close() {
      for (const end of ends.splice(0)) end();
      core.runs.close();
    },
  };
}
