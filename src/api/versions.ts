/**
 * What `resourceVersion`, `resourceVersionMatch`, `limit` and `continue` ask of a read.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
 */
import type { Call } from "#api/core.ts";
import { type ApiError, refuse } from "#api/errors.ts";
import { limits } from "#base/limits.ts";
import { type Cause, forbidden, invalid } from "#resources/field.ts";

const OPTIONS = { group: "meta.k8s.io", plural: "listoptions", kind: "ListOptions" };

const refuseOptions = (cause: Cause): ApiError => refuse.invalid(OPTIONS, "", [cause]);

export function parseRevision(text: string, field = "resourceVersion"): number {
  if (!/^\d{1,16}$/.test(text)) {
    throw refuseOptions(invalid(field, text, "strconv.ParseUint: invalid syntax"));
  }
  return Number(text);
}

/** A revision that nobody can have seen yet. */
export function refuseFuture(revision: number, current: number): void {
  if (revision <= current) return;
  throw refuse.timeout(`Too large resource version: ${revision}, current: ${current}`, [
    { reason: "ResourceVersionTooLarge", message: "Too large resource version" },
  ]);
}

interface Token {
  readonly v: "meta.k8s.io/v1";
  /** -1: at whatever revision is current. */
  readonly rv: number;
  readonly start: string;
}

/** Where a list goes on: after this key (below the prefix), at this revision. */
export function encodeContinue(revision: number, start: string): string {
  const token: Token = { v: "meta.k8s.io/v1", rv: revision, start };
  return Buffer.from(JSON.stringify(token)).toString("base64url");
}

function decodeContinue(text: string): Token {
  try {
    const token = JSON.parse(Buffer.from(text, "base64url").toString()) as Partial<Token>;
    if (token.v === "meta.k8s.io/v1" && typeof token.start === "string") {
      if (Number.isSafeInteger(token.rv) && !token.start.startsWith("/")) return token as Token;
    }
  } catch {
    // Falls through to the one answer for everything that is no token of ours.
  }
  throw refuse.badRequest("continue key is not valid: encoded data is not a continue token");
}

export interface ReadPoint {
  /** State as of this revision; undefined: now. */
  readonly revision?: number;
  /** Rest of the key to go on after. */
  readonly start?: string;
  readonly limit?: number;
}

function limitOf(call: Call): number | undefined {
  const text = call.query.get("limit");
  if (text === null || text === "") return undefined;
  if (!/^-?\d{1,15}$/.test(text)) {
    throw refuse.badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  const limit = Number(text);
  return limit <= 0 ? undefined : Math.min(limit, limits.listLimitMax);
}

function checkMatch(match: string, version: string, goesOn: boolean): void {
  const field = "resourceVersionMatch";
  if (version === "") {
    throw refuseOptions(
      forbidden(field, `${field} is forbidden unless resourceVersion is provided`),
    );
  }
  if (goesOn)
    throw refuseOptions(forbidden(field, `${field} is forbidden when continue is provided`));
  if (match !== "Exact" && match !== "NotOlderThan") {
    throw refuseOptions({
      reason: "FieldValueNotSupported",
      field,
      message:
        `Unsupported value: ${JSON.stringify(match)}: supported values: "Exact", ` +
        `"NotOlderThan", ""`,
    });
  }
  if (match === "Exact" && version === "0") {
    throw refuseOptions(forbidden(field, `${field} "exact" is forbidden for resourceVersion "0"`));
  }
}

/** What belongs to watches, or is no number. */
function checkListed({ query }: Call): void {
  if ((query.get("sendInitialEvents") ?? "") !== "") {
    const field = "sendInitialEvents";
    throw refuseOptions(forbidden(field, `${field} is forbidden for list`));
  }
  checkSeconds(query.get("timeoutSeconds"));
}

/** @throws ApiError 400 for a text that is no whole number. */
export function checkSeconds(text: string | null): void {
  if (text === null || text === "" || /^-?\d{1,15}$/.test(text)) return;
  throw refuse.badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
}

function listedRevision(text: string): number {
  if (/^\d{1,16}$/.test(text)) return Number(text);
  const parsing = `strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`;
  throw refuse.badRequest(
    `invalid resource version: resourceVersion: Invalid value: ${JSON.stringify(text)}: ${parsing}`,
  );
}

/** @throws ApiError 422, 400 or 504 for what makes no sense together or is from the future. */
export function readPointOf(call: Call, current: number): ReadPoint {
  const { query } = call;
  if (query.size === 0) return {};
  const limit = limitOf(call);
  checkListed(call);
  const version = query.get("resourceVersion") ?? "";
  const match = query.get("resourceVersionMatch") ?? "";
  const goesOn = query.get("continue") ?? "";
  if (match !== "") checkMatch(match, version, goesOn !== "");
  if (goesOn !== "") {
    if (version !== "" && version !== "0") {
      throw refuse.badRequest("specifying resource version is not allowed when using continue");
    }
    const { rv, start } = decodeContinue(goesOn);
    if (rv > 0) refuseFuture(rv, current);
    return { ...(rv > 0 && { revision: rv }), start, ...(limit && { limit }) };
  }
  const revision = version === "" ? 0 : listedRevision(version);
  refuseFuture(revision, current);
  return { ...(match === "Exact" && { revision }), ...(limit && { limit }) };
}

/** 410 with a token to go on at the present revision, where the old one is out of reach. */
export function expiredContinue(start: string): ApiError {
  const error = refuse.expired(
    "The provided continue parameter is too old to display a consistent list result. You " +
      "can start " +
      "a new list without the continue parameter, or use the continue token in this response to " +
      "retrieve the remainder of the results. Continuing with the provided token results in an " +
      "inconsistent list - objects that were created, modified, or deleted between the time the " +
      "first chunk was returned and now may show up in the list.",
  );
  error.status.metadata.continue = encodeContinue(-1, start);
  return error;
}
