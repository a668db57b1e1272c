/**
 * `/livez`, `/readyz` and `/healthz`, with `?verbose` and one check alone, as upstream answers
 * them.
 */

export interface Check {
  readonly name: string;
  /** Undefined when well; else what is wrong. */
  run(): string | undefined;
  /** Part of `/livez` too; all checks are part of `/readyz`. */
  readonly live: boolean;
}

const TEXT = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" };

/** Undefined for a path that is not about health. */
export function healthAnswer(
  checks: readonly Check[],
  path: string,
  query: string,
): Response | undefined {
  const [, endpoint = "", single, more] = path.split("/");
  if (endpoint !== "livez" && endpoint !== "readyz" && endpoint !== "healthz") return undefined;
  if (more !== undefined) return undefined;
  const params = new URLSearchParams(query);
  const excluded = new Set(params.getAll("exclude"));
  const wanted = checks
    .filter((check) => endpoint !== "livez" || check.live)
    .filter((check) => single === undefined || check.name === single)
    .filter((check) => !excluded.has(check.name));
  if (single !== undefined && wanted.length === 0) return undefined;
  const results = wanted.map((check) => ({ name: check.name, problem: check.run() }));
  const failed = results.some((result) => result.problem !== undefined);
  if (!failed && !params.has("verbose")) return new Response("ok", { headers: TEXT });
  const lines = results.map(({ name, problem }) =>
    problem === undefined ? `[+]${name} ok` : `[-]${name} failed: ${problem}`,
  );
  lines.push(`${endpoint} check ${failed ? "failed" : "passed"}`, "");
  return new Response(lines.join("\n"), { status: failed ? 500 : 200, headers: TEXT });
}
