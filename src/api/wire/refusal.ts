/** What a client is told about a message that is not HTTP as it should be. */
import { ApiError, refuse } from "#api/errors.ts";
import { messageOf } from "#base/errors.ts";
import { HeadError } from "#base/httphead.ts";

const REASONS: Record<number, string> = {
  400: "BadRequest",
  405: "MethodNotAllowed",
  417: "ExpectationFailed",
  431: "RequestHeaderFieldsTooLarge",
  501: "NotImplemented",
  505: "HTTPVersionNotSupported",
};

export function refusalOf(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (!(error instanceof HeadError)) return refuse.internal(messageOf(error));
  const { status, message } = error;
  if (status === 413) return refuse.tooLarge(message);
  return new ApiError(status, REASONS[status] ?? "", message, {});
}
