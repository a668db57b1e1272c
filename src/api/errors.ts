/**
 * Refusals, as Kubernetes words them (apimachinery api/errors). Code throws an ApiError where it
 * finds the fault; `statusOf` is the only place that turns anything thrown into a Status.
 */
import { messageOf } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Cause } from "#resources/field.ts";
import { BusyError, GoneError, StorageError } from "#store/store.ts";

export interface StatusCause {
  reason?: string;
  message?: string;
  field?: string;
}

export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: StatusCause[];
  retryAfterSeconds?: number;
}

export interface Status {
  kind: "Status";
  apiVersion: "v1";
  metadata: { continue?: string };
  status: "Success" | "Failure";
  message?: string;
  reason?: string;
  details?: StatusDetails;
  code: number;
}

/** What an error names: a resource for most, a kind where validation failed. */
export interface Named {
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
}

/** A refusal with its Status; `cause` may hold what led to it. */
export class ApiError extends Error {
  override name = "ApiError";
  readonly status: Status;
  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super(message);
    this.status = {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message,
      ...(reason && { reason }),
      ...(details && { details }),
      code,
    };
  }
}

const dotted = (name: string, group: string): string => (group === "" ? name : `${name}.${group}`);
const resource = (of: Named): string => dotted(of.plural, of.group);

function about(of: Named, name: string): StatusDetails {
  return { ...(name && { name }), ...(of.group && { group: of.group }), kind: of.plural };
}

const quoted = (name: string): string => JSON.stringify(name);

export const refuse = {
  notFound: (of: Named, name: string) =>
    new ApiError(404, "NotFound", `${resource(of)} ${quoted(name)} not found`, about(of, name)),

  /** No such path, or no such resource. */
  noPath: () =>
    new ApiError(404, "NotFound", "the server could not find the requested resource", {}),

  exists: (of: Named, name: string) =>
    new ApiError(
      409,
      "AlreadyExists",
      `${resource(of)} ${quoted(name)} already exists`,
      about(of, name),
    ),

  conflict: (of: Named, name: string, why: string) =>
    new ApiError(
      409,
      "Conflict",
      `Operation cannot be fulfilled on ${resource(of)} ${quoted(name)}: ${why}`,
      about(of, name),
    ),

  /** As the API answers preconditions of a deletion: about the kind, not its resource. */
  precondition: (of: Named, name: string, why: string) =>
    new ApiError(
      409,
      "Conflict",
      `Operation cannot be fulfilled on ${dotted(of.kind, of.group)} ${quoted(name)}: ${why}`,
      { ...about(of, name), kind: of.kind },
    ),

  modified: (of: Named, name: string) =>
    refuse.conflict(
      of,
      name,
      "the object has been modified; please apply your changes to the latest version and try again",
    ),

  invalid: (of: Named, name: string, causes: readonly Cause[]) => {
    const lines = [...new Set(causes.map((c) => `${c.field}: ${c.message}`))];
    const list = lines.length === 1 ? lines[0] : `[${lines.join(", ")}]`;
    const message = `${dotted(of.kind, of.group)} ${quoted(name)} is invalid: ${list}`;
    return new ApiError(422, "Invalid", message, {
      ...(name && { name }),
      ...(of.group && { group: of.group }),
      ...(of.kind && { kind: of.kind }),
      causes: causes.map(({ reason, message, field }) => ({ reason, message, field })),
    });
  },

  badRequest: (message: string) => new ApiError(400, "BadRequest", message),

  forbidden: (of: Named, name: string, why: string, causes?: StatusCause[]) =>
    new ApiError(
      403,
      "Forbidden",
      `${resource(of)}${name ? ` ${quoted(name)}` : ""} is forbidden: ${why}`,
      { ...about(of, name), ...(causes && { causes }) },
    ),

  forbiddenPath: (why: string) => new ApiError(403, "Forbidden", `forbidden: ${why}`, {}),

  unauthorized: () => new ApiError(401, "Unauthorized", "Unauthorized"),

  method: () =>
    new ApiError(
      405,
      "MethodNotAllowed",
      "the server does not allow this method on the requested resource",
      {},
    ),

  expired: (message: string) => new ApiError(410, "Expired", message),

  tooLarge: (message: string) =>
    new ApiError(413, "RequestEntityTooLarge", `Request entity too large: ${message}`),

  notAcceptable: (types: readonly string[]) =>
    new ApiError(
      406,
      "NotAcceptable",
      `only the following media types are accepted: ${types.join(", ")}`,
    ),

  mediaType: (types: readonly string[]) =>
    new ApiError(
      415,
      "UnsupportedMediaType",
      `the body of the request was in an unknown format - accepted media types include: ` +
        `${types.join(", ")}`,
    ),

  /** A patch that nothing here can read is not even tried. */
  patchType: () => new ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {}),

  busy: (message: string, retryAfterSeconds = 1, causes?: StatusCause[]) =>
    // Without a time to wait a client does not try again by itself.
    new ApiError(429, "TooManyRequests", message, {
      ...(retryAfterSeconds > 0 && { retryAfterSeconds }),
      ...(causes && { causes }),
    }),

  timeout: (message: string, causes?: StatusCause[]) =>
    new ApiError(504, "Timeout", message, { retryAfterSeconds: 1, ...(causes && { causes }) }),

  unavailable: (message: string) => new ApiError(503, "ServiceUnavailable", message),

  internal: (message: string) =>
    new ApiError(500, "InternalError", `Internal error occurred: ${message}`, {
      causes: [{ message }],
    }),
};

/** The Status of anything thrown. What is unknown is logged and answered 500, without its stack. */
export function statusOf(error: unknown, log: Log): Status {
  if (error instanceof ApiError) return error.status;
  if (error instanceof GoneError) return refuse.expired(error.message).status;
  if (error instanceof BusyError) return refuse.busy("the store is busy, try again later").status;
  if (error instanceof StorageError) {
    return refuse.unavailable(`the store could not write: ${messageOf(error)}`).status;
  }
  log.error("request failed", {
    error: messageOf(error),
    stack: error instanceof Error ? (error.stack ?? "").replaceAll("\n", " | ") : undefined,
  });
  return refuse.internal(messageOf(error)).status;
}
