/**
 * What strict readers of HTTP/1 heads refuse alike (RFC 9112): where two programs read one message
 * differently, requests are smuggled. A head is text with one character a byte.
 */

/** The message cannot be served, or not be passed on; `status` is the answer to the client. */
export class HeadError extends Error {
  override name = "HeadError";
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Names of headers, and methods. */
export const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** A line of a head: no control characters but the tab. */
export const TEXT = /^[\t\x20-\x7e\x80-\xff]*$/;
const LENGTH = /^\d{1,15}$/;

/** The name in a header's line, in lower case; its colon is right behind it. @throws HeadError */
export function nameOf(line: string): string {
  const name = line.slice(0, Math.max(line.indexOf(":"), 0)).toLowerCase();
  // A space before the colon, or a line that goes on with the one before, ends here too.
  if (!TOKEN.test(name) || !TEXT.test(line)) throw new HeadError(400, "malformed header");
  return name;
}

/** What Content-Length says: one number, no list of them. @throws HeadError */
export function lengthOf(value: string): number {
  if (!LENGTH.test(value)) throw new HeadError(400, "malformed Content-Length");
  return Number(value);
}
