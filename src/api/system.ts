/**
 * Paths that are no resources: version, metrics, discovery, OpenAPI, the keys of service account
 * tokens.
 */
import { Hono } from "hono";
import type { Aggregation } from "#api/aggregation/aggregator.ts";
import type { Core } from "#api/core.ts";
import { createDiscovery } from "#api/discovery.ts";
import type { Check } from "#api/health.ts";
import { healthAnswer } from "#api/health.ts";
import type { Metrics } from "#api/metrics.ts";
import { openApiAnswer } from "#api/openapi.ts";
import type { Registry } from "#api/registry.ts";

export interface SystemParts {
  readonly core: Core;
  readonly checks: readonly Check[];
  readonly metrics: Metrics;
  readonly aggregation: Aggregation;
}

function versionOf({ settings }: Core): object {
  const [major = "1", minor = "34"] = settings.gitVersion.replace(/^v/, "").split(".");
  return {
    major,
    minor,
    emulationMajor: major,
    emulationMinor: minor,
    gitVersion: settings.gitVersion,
    gitCommit: "",
    gitTreeState: "clean",
    buildDate: "1970-01-01T00:00:00Z",
    goVersion: `bun${Bun.version}`,
    compiler: "bun",
    platform: `linux/${process.arch === "x64" ? "amd64" : process.arch}`,
  };
}

/** What anybody may read: health and version. Undefined for anything else. */
export function openAnswer(parts: SystemParts, path: string, query: string): Response | undefined {
  if (path === "/version" || path === "/version/") {
    return new Response(JSON.stringify(versionOf(parts.core)), {
      headers: { "content-type": "application/json" },
    });
  }
  return healthAnswer(parts.checks, path, query);
}

const OTHER_PATHS = [
  ...["/.well-known/openid-configuration", "/healthz", "/livez", "/metrics", "/openapi/v2"],
  ...["/openapi/v3", "/openid/v1/jwks", "/readyz", "/version"],
];

/** What is to be found here, for whoever asks at the root. */
function rootPaths(registry: Registry): string[] {
  const groups = [...registry.all()].flatMap(({ kind: { group, version } }) =>
    group === ""
      ? ["/api", `/api/${version}`]
      : ["/apis", `/apis/${group}`, `/apis/${group}/${version}`],
  );
  return [...new Set([...groups, ...OTHER_PATHS])].sort();
}

/** Routes for known users. Unknown paths answer 404 without a body: the caller makes the Status. */
export function systemRoutes(parts: SystemParts): Hono {
  const { core, metrics, aggregation } = parts;
  const app = new Hono();
  const { advertise } = core.settings;
  const address = advertise === undefined ? "" : `${advertise.address}:${advertise.port}`;
  const discovery = createDiscovery(core.registry, aggregation.foreign, address);
  const discover = (request: Request): Response =>
    discovery.answer(request, new URL(request.url).pathname) ?? new Response(null, { status: 404 });
  app.on("GET", ["/api", "/api/*", "/apis", "/apis/*"], (c) => discover(c.req.raw));
  app.on("GET", ["/openapi/v2", "/openapi/v3", "/openapi/v3/*"], (c) => {
    const others = aggregation.documents();
    return openApiAnswer(core.registry, c.req.raw, others) ?? new Response(null, { status: 404 });
  });
  app.get("/", (c) => c.json({ paths: rootPaths(core.registry) }));
  app.get("/metrics", () => {
    return new Response(metrics.text(), {
      headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
    });
  });
  app.get("/.well-known/openid-configuration", (c) =>
    c.json({
      issuer: core.settings.issuer,
      jwks_uri: `https://${address}/openid/v1/jwks`,
      response_types_supported: ["id_token"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: ["ES256"],
    }),
  );
  app.get("/openid/v1/jwks", async (c) => {
    const text = JSON.stringify(await core.signer.jwks());
    return c.body(text, 200, { "content-type": "application/jwk-set+json" });
  });
  app.onError((error) => {
    throw error;
  });
  app.notFound(() => new Response(null, { status: 404 }));
  return app;
}
