/** What all readers of HTTP/1 answers take alike (RFC 9112); headers each reads as it needs them. */

const STATUS_LINE = /^HTTP\/1\.[01] \d{3}(?: |\r\n|$)/;

/** The status in a head, or in its first line; undefined where that is not HTTP/1. */
export const statusOf = (head: string): number | undefined =>
  STATUS_LINE.test(head) ? Number(head.slice(9, 12)) : undefined;

/** Whatever its headers say of a length (RFC 9112 6.3). */
export const isBodiless = (method: string, status: number): boolean =>
  method === "HEAD" || status < 200 || status === 204 || status === 304;
