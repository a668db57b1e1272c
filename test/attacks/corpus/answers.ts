/**
 * Answers of a backend that two programs could read in two ways. The client asks once and must get
 * `gets` as the whole of its answer, status and body; the next client gets its own answer.
 */
export interface Answer {
  readonly name: string;
  readonly send: string;
  readonly gets: string;
  /** Default GET. */
  readonly method?: string;
}

const BAD = "502 ";
/** What the attacker wants the next client to get. */
export const FORGED = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";

const answer = (lines: readonly string[], body: string): string =>
  `${["HTTP/1.1 200 OK", ...lines].join("\r\n")}\r\n\r\n${body}`;
const bad = (name: string, send: string): Answer => ({ name, send, gets: BAD });

export const answers: readonly Answer[] = [
  { name: "a length", send: answer(["Content-Length: 2"], "ok"), gets: "200 ok" },
  {
    name: "more bytes than the length says",
    send: answer(["Content-Length: 2"], `ok${FORGED}`),
    gets: "200 ok",
  },
  {
    name: "more bytes behind chunks",
    send: answer(["Transfer-Encoding: chunked"], `2\r\nok\r\n0\r\n\r\n${FORGED}`),
    gets: "200 ok",
  },
  {
    name: "trailers that frame",
    send: answer(
      ["Transfer-Encoding: chunked"],
      `2;a\r\nok\r\n0\r\nContent-Length: 9\r\nSet-Cookie: a\r\n\r\n`,
    ),
    gets: "200 ok",
  },
  {
    name: "a body behind 204",
    send: `HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\n${FORGED}`,
    gets: "204 ",
  },
  {
    name: "chunks behind 204",
    send: "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    gets: "204 ",
  },
  {
    name: "a body behind 304",
    send: `HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n${FORGED}`,
    gets: "304 ",
  },
  {
    name: "a body behind HEAD",
    send: answer(["Content-Length: 6"], FORGED),
    gets: "200 ",
    method: "HEAD",
  },
  {
    name: "an interim answer with a length",
    send: `HTTP/1.1 103 Hints\r\nContent-Length: 3\r\n\r\n${answer(["Content-Length: 2"], "ok")}`,
    gets: "200 ok",
  },
  {
    name: "Connection names the length",
    send: answer(["Content-Length: 2", "Connection: content-length"], `ok${FORGED}`),
    gets: "200 ok",
  },
  {
    name: "Connection names the coding",
    send: answer(
      ["Transfer-Encoding: chunked", "Connection: transfer-encoding"],
      "2\r\nok\r\n0\r\n\r\n",
    ),
    gets: "200 ok",
  },
  {
    name: "the end of the connection",
    send: answer(["Connection: close"], "ok"),
    gets: "200 ok",
  },
  bad("101 that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhello"),
  bad(
    "a length and chunks",
    answer(["Content-Length: 2", "Transfer-Encoding: chunked"], "0\r\n\r\n"),
  ),
  bad("two lengths", answer(["Content-Length: 2", "Content-Length: 6"], "ok")),
  bad("a list of lengths", answer(["Content-Length: 2, 2"], "ok")),
  bad("a length that is no number", answer(["Content-Length: +2"], "ok")),
  bad("a length behind a space that does not break", answer(["Content-Length: \xa02"], "ok")),
  bad("another coding", answer(["Transfer-Encoding: gzip, chunked"], "0\r\n\r\n")),
  bad("a space before the colon", answer(["Content-Length : 2"], "ok")),
  bad("a continued line", answer(["A: b", " c"], "ok")),
  bad("a bare carriage return", answer(["A: b\rContent-Length: 2"], "ok")),
  bad("a bare line feed", answer(["A: b\nContent-Length: 2"], "ok")),
  bad("a NUL", answer(["A: b\0"], "ok")),
  bad("chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
  bad("another version", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
  bad("a status below all", "HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n"),
  bad("no status", "hello\r\n\r\n"),
];
