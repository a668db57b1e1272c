/** Guards against programmer errors; operating errors are thrown as classes of `errors.ts`. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}

/** The value, which the caller knows to be there. */
export function must<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new Error(`assertion failed: no ${what}`);
  return value;
}

/** Returns the text if it is one line. A program would read a second line as a command. */
export function mustBeLine(text: string): string {
  assert(!text.includes("\n"), `one line, not ${JSON.stringify(text)}`);
  return text;
}
