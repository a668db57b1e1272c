/**
 * Errors that callers branch on. Only `api/errors.ts` and the command line turn them into words for
 * users.
 */

/** What the operator did or has is wrong: one clear line and the way out. */
export class OperatorError extends Error {
  override name = "OperatorError";
  readonly hint: string | undefined;
  constructor(message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.hint = options.hint;
  }
}

/** Wrong use of the command line: exit status 2. */
export class UsageError extends OperatorError {
  override name = "UsageError";
}

/** A time limit passed. */
export class TimeoutError extends Error {
  override name = "TimeoutError";
}

/** The message of anything thrown, in one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n", 1)[0] ?? "";
}
