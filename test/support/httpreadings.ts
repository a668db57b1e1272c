/**
 * How different servers would read the same bytes of HTTP/1: some take a bare line feed for the end
 * of a line, some prefer Content-Length, some trim more than spaces. Bytes that all read alike
 * cannot smuggle a request.
 */
export interface Reading {
  /** Lines may end with a line feed alone. */
  readonly bareLineFeeds: boolean;
  /** Which header says where a body ends where both are there. */
  readonly prefers: "chunked" | "length";
  /** Accepts what a strict server does not: spaces before colons, `xchunked`, `_` for `-`. */
  readonly lenient: boolean;
}

export const readings: readonly Reading[] = [true, false].flatMap((bareLineFeeds) =>
  (["chunked", "length"] as const).flatMap((prefers) =>
    [true, false].map((lenient) => ({ bareLineFeeds, prefers, lenient })),
  ),
);

interface Fields {
  readonly length: number | undefined;
  readonly chunked: boolean;
}

function fieldsOf(lines: readonly string[], { lenient }: Reading): Fields {
  let length: number | undefined;
  let chunked = false;
  for (const line of lines) {
    const colon = line.indexOf(":");
    const bare = line.slice(0, colon);
    const name = (lenient ? bare.trim().replaceAll("_", "-") : bare).toLowerCase();
    const value = line.slice(colon + 1);
    if (name === "content-length") length ??= Number.parseInt(value, 10);
    if (name !== "transfer-encoding") continue;
    chunked ||= lenient ? /chunked/i.test(value) : /^[ \t]*chunked[ \t]*$/i.test(value);
  }
  return { length, chunked };
}

class Input {
  readonly #text: string;
  readonly #bareLineFeeds: boolean;
  at = 0;
  /** The bytes ended before what was asked for. */
  isShort = false;

  constructor(text: string, { bareLineFeeds }: Reading) {
    this.#text = text;
    this.#bareLineFeeds = bareLineFeeds;
  }

  get isOver(): boolean {
    return this.at >= this.#text.length;
  }

  line(): string {
    const mark = this.#bareLineFeeds ? "\n" : "\r\n";
    const end = this.#text.indexOf(mark, this.at);
    const line = this.#text.slice(this.at, end < 0 ? undefined : end);
    this.isShort ||= end < 0;
    this.at = end < 0 ? this.#text.length : end + mark.length;
    return this.#bareLineFeeds && line.endsWith("\r") ? line.slice(0, -1) : line;
  }

  take(length: number): string {
    const part = this.#text.slice(this.at, this.at + length);
    this.at += length;
    this.isShort ||= part.length < length;
    return part;
  }
}

function chunksOf(input: Input): string {
  let body = "";
  while (!input.isShort) {
    const size = Number.parseInt(input.line(), 16);
    if (!(size > 0)) break;
    body += input.take(size);
    input.line();
  }
  while (!input.isShort && input.line() !== "");
  return body;
}

interface Found {
  readonly text: string;
  readonly isWhole: boolean;
}

function* messagesIn(text: string, reading: Reading): Generator<Found> {
  const input = new Input(text, reading);
  while (!input.isOver) {
    const [method = "", target = ""] = input.line().split(" ");
    const lines: string[] = [];
    for (let line = input.line(); line !== ""; line = input.line()) lines.push(line);
    const { length, chunked } = fieldsOf(lines, reading);
    const byLength = length !== undefined && (reading.prefers === "length" || !chunked);
    const body = byLength ? input.take(length) : chunked ? chunksOf(input) : "";
    yield { text: `${method} ${target} ${body}`, isWhole: !input.isShort };
  }
}

/** The whole requests in the bytes, one character a byte, as `METHOD target body`. */
export const requestsIn = (text: string, reading: Reading): string[] =>
  [...messagesIn(text, reading)].filter(({ isWhole }) => isWhole).map((found) => found.text);

const STRICT: Reading = { bareLineFeeds: false, prefers: "chunked", lenient: false };

/** How many requests have come to their end, as a strict server reads them. */
export const wholeRequests = (text: string): number => requestsIn(text, STRICT).length;
