/**
 * Requests by path, for kinds that only discovery knows, and failures with all that the server said
 * of them.
 */
import { type Client, StatusError } from "#client/client.ts";
import type { ApiObject } from "#resources/meta.ts";

export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  causes?: Array<{ reason?: string; message?: string; field?: string }>;
}

export class StatusFailure extends StatusError {
  override name = "StatusFailure";
  readonly details: StatusDetails;
  /** What was being done, said before the server's words. */
  readonly doing: string;
  constructor(
    code: number,
    reason: string,
    message: string,
    options: { details?: StatusDetails; doing?: string } = {},
  ) {
    super(code, reason, message);
    this.details = options.details ?? {};
    this.doing = options.doing ?? "";
  }

  /** The same failure, with words before it. */
  while(doing: string): StatusFailure {
    const { code, reason, message, details } = this;
    return new StatusFailure(code, reason, message, { details, doing });
  }
}

function invalidText(error: StatusFailure): string {
  const { kind = "request", name = "", causes = [] } = error.details;
  const head = `The ${kind}${name === "" ? "" : ` "${name}"`} is invalid`;
  const lines = causes.map(({ field, message = "" }) => (field ? `${field}: ${message}` : message));
  if (lines.length === 0) return `${head}: ${error.message}`;
  const [only = ""] = lines;
  return lines.length === 1
    ? `${head}: ${only}`
    : `${head}: \n${lines.map((l) => `* ${l}`).join("\n")}`;
}

/** As kubectl says it. */
export function failureText(error: StatusFailure): string {
  const doing = error.doing === "" ? "" : `${error.doing}: `;
  if (error.reason === "Unauthorized") {
    return `error: You must be logged in to the server (${error.message})`;
  }
  if (error.reason === "Invalid" && error.details.causes !== undefined && doing === "") {
    return invalidText(error);
  }
  const reason = error.reason === "" ? "" : ` (${error.reason})`;
  return `Error from server${reason}: ${doing}${error.message}`;
}

export interface Call {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  query?: Readonly<Record<string, string | number | boolean | undefined>>;
  body?: unknown;
  /** Content type of the body; JSON by default. */
  type?: string;
  accept?: string;
  signal?: AbortSignal;
}

export function pathAndQuery({ path, query = {} }: Pick<Call, "path" | "query">): string {
  const pairs = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== "" && value !== false) pairs.set(key, String(value));
  }
  return pairs.size === 0 ? path : `${path}?${pairs}`;
}

export async function failureOf(response: Response): Promise<StatusFailure> {
  const text = await response.text().catch(() => "");
  try {
    const status = JSON.parse(text) as {
      code?: number;
      reason?: string;
      message?: string;
      details?: StatusDetails;
    };
    const { code = response.status, reason = "", message = text, details = {} } = status;
    return new StatusFailure(code, reason, message, { details });
  } catch {
    // Not every answer is a Status: a proxy in between sends text.
    return new StatusFailure(response.status, "", text.trim() || `HTTP ${response.status}`);
  }
}

/** Answers with a status below 400. @throws StatusFailure for all others. */
export async function send(client: Client, call: Call): Promise<Response> {
  const { method = "GET", body, type = "application/json", accept, signal } = call;
  const headers: Record<string, string> = {
    accept: accept ?? "application/json",
    "user-agent": "bramble-cli",
  };
  const init: RequestInit = { method, headers };
  if (body !== undefined) {
    headers["content-type"] = type;
    init.body = typeof body === "string" ? body : JSON.stringify(body);
  }
  if (signal !== undefined) init.signal = signal;
  const response = await client.fetch(new Request(`http://api${pathAndQuery(call)}`, init));
  if (response.status >= 400) throw await failureOf(response);
  return response;
}

export async function ask<T = ApiObject>(client: Client, call: Call): Promise<T> {
  return (await (await send(client, call)).json()) as T;
}
