/**
 * Requests that two programs could read in two ways. `send` goes to one connection, with a request
 * for `/next` behind it that ends the connection. `sees` is what whoever serves them may see, as
 * `METHOD target body`: nothing where the message is rejected.
 */
export interface Sent {
  readonly name: string;
  readonly send: string;
  readonly sees: readonly string[];
  /** The API as the server: undefined where it sees the same. */
  readonly api?: readonly string[];
}

export const NEXT = "GET /next HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
/** What an attacker wants to be taken for a request of somebody else. */
export const HIDDEN = "GET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n";

const post = (lines: readonly string[], body: string): string =>
  `${["POST /a HTTP/1.1", "Host: a.test", ...lines].join("\r\n")}\r\n\r\n${body}`;
const chunks = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;
const length = (text: string): string => `Content-Length: ${text.length}`;

const GET = "GET /a HTTP/1.1\r\nHost: a.test\r\n";
const NEXT_SEEN = "GET /next ";
const TE = "Transfer-Encoding: chunked";

const rejected = (name: string, send: string): Sent => ({ name, send, sees: [] });
const served = (name: string, send: string, ...sees: string[]): Sent => ({
  name,
  send,
  sees: [...sees, NEXT_SEEN],
});

/** Hides the text in the body of a request with both kinds of length. */
const both = (name: string, ...lines: string[]): Sent =>
  rejected(name, post(lines, `0\r\n\r\n${HIDDEN}`));

const codings: readonly Sent[] = [
  both("a length and chunks", "Content-Length: 44", TE),
  both("chunks and a length", TE, "Content-Length: 4"),
  both("a space before the colon", "Transfer-Encoding : chunked", "Content-Length: 44"),
  both("a tab before the colon", "Transfer-Encoding\t: chunked"),
  both("xchunked", "Transfer-Encoding: xchunked"),
  both("two codings in two lines", TE, "Transfer-Encoding: identity"),
  both("the same coding twice", TE, TE),
  both("chunked, identity", "Transfer-Encoding: chunked, identity"),
  both("identity, chunked", "Transfer-Encoding: identity, chunked"),
  both("gzip, chunked", "Transfer-Encoding: gzip, chunked"),
  both("chunked, chunked", "Transfer-Encoding: chunked, chunked"),
  both("identity", "Transfer-Encoding: identity"),
  both("quoted", 'Transfer-Encoding: "chunked"'),
  both("a parameter", "Transfer-Encoding: chunked;q=1"),
  both("a trailing comma", "Transfer-Encoding: chunked,"),
  both("empty", "Transfer-Encoding:"),
  both("a vertical tab", "Transfer-Encoding: \x0bchunked"),
  both("a form feed", "Transfer-Encoding: chunked\x0c"),
  both("a space that does not break, behind", "Transfer-Encoding: chunked\xa0"),
  both("a space that does not break, before", "Transfer-Encoding: \xa0chunked"),
  both("a continued line", "Transfer-Encoding:", " chunked"),
  both("a continued line with a tab", "X: y", "\tTransfer-Encoding: chunked"),
  both("a bare line feed before it", "X: y\nTransfer-Encoding: chunked"),
  both("a bare carriage return before it", "X: y\rTransfer-Encoding: chunked"),
  both("a NUL in it", "Transfer-Encoding: chun\0ked"),
  both("a NUL behind it", "Transfer-Encoding: chunked\0"),
  both("spaces behind both", "Transfer-Encoding: chunked ", "Content-Length: 4 "),
  served("any case", post(["tRANSFER-eNCODING: CHUNKED"], chunks("x")), "POST /a x"),
  served(
    "spaces and tabs around",
    post(["Transfer-Encoding: \t chunked \t"], chunks("x")),
    "POST /a x",
  ),
  served(
    "an underscore",
    post(["Transfer_Encoding: chunked", length("0\r\n\r\n")], "0\r\n\r\n"),
    "POST /a 0\r\n\r\n",
  ),
];

const lengths: readonly Sent[] = [
  ...[
    "5, 5",
    "5,5",
    "+5",
    "-5",
    "0x5",
    "5 5",
    "5.0",
    "5e0",
    "\xa05",
    "5\xa0",
    "",
    "٥",
    "5;a",
    "9999999999999999999",
    "18446744073709551621",
    "\x0b5",
  ].map((value) =>
    rejected(`length ${JSON.stringify(value)}`, post([`Content-Length: ${value}`], "hello")),
  ),
  rejected("two lengths that differ", post(["Content-Length: 5", "Content-Length: 0"], "hello")),
  rejected(
    "two lengths that differ, shorter first",
    post(["Content-Length: 0", "Content-Length: 5"], "hello"),
  ),
  rejected("the same length twice", post(["Content-Length: 5", "content-length: 5"], "hello")),
  rejected("a space before the colon", post(["Content-Length : 5"], "hello")),
  served("zeros before it", post(["Content-Length: 005"], "hello"), "POST /a hello"),
  served("spaces around it", post(["Content-Length: \t5 "], "hello"), "POST /a hello"),
  served(
    "a length for GET",
    `GET /a HTTP/1.1\r\nHost: a.test\r\n${length(HIDDEN)}\r\n\r\n${HIDDEN}`,
    `GET /a ${HIDDEN}`,
  ),
  served("no length means no body", post([], ""), "POST /a "),
];

/** `Connection` names what belongs to the connection; that is never what frames the message. */
const connections: readonly Sent[] = [
  served(
    "Connection: content-length",
    post([length(HIDDEN), "Connection: content-length"], HIDDEN),
    `POST /a ${HIDDEN}`,
  ),
  served(
    "Connection: close-not, Content-Length",
    post([length(HIDDEN), "Connection: x, Content-Length"], HIDDEN),
    `POST /a ${HIDDEN}`,
  ),
  served(
    "Connection: transfer-encoding",
    post([TE, "Connection: transfer-encoding"], chunks(HIDDEN)),
    `POST /a ${HIDDEN}`,
  ),
  served("Connection: host", post([length("x"), "Connection: host"], "x"), "POST /a x"),
  served(
    "Connection: x-forwarded-for, x-real-ip",
    post([length("x"), "Connection: x-forwarded-for, x-real-ip"], "x"),
    "POST /a x",
  ),
  served(
    "two Connections",
    post([length(HIDDEN), "Connection: x", "Connection: content-length"], HIDDEN),
    `POST /a ${HIDDEN}`,
  ),
];

const chunked = (body: string): string => post([TE], body);

const chunkLines: readonly Sent[] = [
  ...[
    "5 \r\nhello\r\n0\r\n\r\n",
    " 5\r\nhello\r\n0\r\n\r\n",
    "\t5\r\nhello\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "+5\r\nhello\r\n0\r\n\r\n",
    "-5\r\nhello\r\n0\r\n\r\n",
    "5\nhello\n0\n\n",
    "5\rhello\r\n0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "5\r\nhello0\r\n\r\n",
    "5\r\nhelloXX0\r\n\r\n",
    "\r\nhello\r\n0\r\n\r\n",
    "5_0\r\nhello\r\n0\r\n\r\n",
    "g\r\nhello\r\n0\r\n\r\n",
    "5\0\r\nhello\r\n0\r\n\r\n",
    "100000005\r\nhello\r\n0\r\n\r\n",
    "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "10000000000000005\r\nhello\r\n0\r\n\r\n",
    ";a=b\r\nhello\r\n0\r\n\r\n",
    "5;a\nb\r\nhello\r\n0\r\n\r\n",
    "5;a\rb\r\nhello\r\n0\r\n\r\n",
    "5;a\0b\r\nhello\r\n0\r\n\r\n",
    "5 ;a\r\nhello\r\n0\r\n\r\n",
  ].map((body) => rejected(`chunk ${JSON.stringify(body)}`, chunked(body))),
  ...["A : b", " A: b", "A\0: b", "A: b\nC: d", "A: b\rC: d", ": b", "GET /hidden HTTP/1.1"].map(
    (line) =>
      rejected(`trailer ${JSON.stringify(line)}`, chunked(`5\r\nhello\r\n0\r\n${line}\r\n\r\n`)),
  ),
  served("an extension", chunked('5;a=b;c="d"\r\nhello\r\n0;e\r\n\r\n'), "POST /a hello"),
  served("a harmless trailer", chunked("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), "POST /a hello"),
  served(
    "a length as a trailer",
    chunked("5\r\nhello\r\n0\r\nContent-Length: 900\r\nTransfer-Encoding: x\r\nHost: b\r\n\r\n"),
    "POST /a hello",
  ),
  served("zeros before a size", chunked("0005\r\nhello\r\n000\r\n\r\n"), "POST /a hello"),
  served(
    "sizes in any case",
    chunked("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"),
    "POST /a 01234567890123456789",
  ),
  served("an empty body in chunks", chunked("0\r\n\r\n"), "POST /a "),
];

const heads: readonly Sent[] = [
  ...[
    "GET /a HTTP/1.1\nHost: a.test\n\n",
    "GET /a HTTP/1.1\r\nHost: a.test\nX: y\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a.test\rX: y\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a.test\r\nX\0: y\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a.test\r\n: y\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a.test\r\nX y\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a.test\r\n X: y\r\n\r\n",
    "GET /a HTTP/1.1\r\n Host: a.test\r\n\r\n",
    "GET /a HTTP/1.1\r\nX: y\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a.test\r\nhost: a.test\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: user@a.test\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a.test/b\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a.test:80:81\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a\xa0test\r\n\r\n",
    "GET http://user@a.test/a HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET http:///a HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET ftp://a.test/a HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET a HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET /a#b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET http://a.test/a#b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET /a\tHTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET  /a HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET /a  HTTP/1.1\r\nHost: a.test\r\n\r\n",
    " GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET /a HTTP/1.1 \r\nHost: a.test\r\n\r\n",
    "GET /a HTTP/1.1\r\r\nHost: a.test\r\n\r\n",
    "GET /a\0b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET /a\x01 HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET /a\x7f HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET /a\x0bHTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET /a http/1.1\r\nHost: a.test\r\n\r\n",
    "GET /a HTTP/1.2\r\nHost: a.test\r\n\r\n",
    "GET /a HTTP/01.1\r\nHost: a.test\r\n\r\n",
    "GET /a HTTP/0.9\r\nHost: a.test\r\n\r\n",
    "GET /a HTTP/2.0\r\nHost: a.test\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET /a\r\n\r\n",
    "get /a HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "G\0ET /a HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET(/) /a HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "CONNECT /a HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "TRACE /a HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nExpect: y 100-continue\r\n\r\nhello",
    `GET /a HTTP/1.1\r\nHost: a.test\r\n${"X: y\r\n".repeat(2_000)}\r\n`,
  ].map((send) => rejected(`head ${JSON.stringify(send).slice(0, 70)}`, send)),
  served("an absolute target", "GET http://a.test/a HTTP/1.1\r\nHost: b.test\r\n\r\n", "GET /a "),
  served("an empty line before", "\r\nGET /a HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /a "),
  served("one after the other", `${HIDDEN}${HIDDEN}`, "GET /hidden ", "GET /hidden "),
  served(
    "an expectation",
    post([length("hello"), "Expect: 100-continue"], "hello"),
    "POST /a hello",
  ),
];

const others: readonly Sent[] = [
  rejected(
    "chunks in HTTP/1.0",
    "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  ),
  rejected(
    "chunks and keep-alive in HTTP/1.0",
    `POST /a HTTP/1.0\r\nConnection: keep-alive\r\n${TE}\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
  ),
  {
    name: "HTTP/1.0 ends the connection",
    send: `POST /a HTTP/1.0\r\n${length("x")}\r\n\r\nx`,
    sees: ["POST /a x"],
  },
  served(
    "HTTP/1.0 with keep-alive",
    `POST /a HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n${length("x")}\r\n\r\nx`,
    "POST /a x",
  ),
  {
    name: "Connection: close, content-length",
    send: post([length(HIDDEN), "Connection: close, content-length"], HIDDEN),
    sees: [`POST /a ${HIDDEN}`],
  },
  served(
    "h2c",
    `${GET}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n`,
    "GET /a ",
  ),
  served(
    "h2c behind another protocol",
    "GET /a HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: x, h2c\r\n\r\n",
    "GET /a ",
  ),
  served(
    "an upgrade with a body",
    post(["Connection: Upgrade", "Upgrade: websocket", length(HIDDEN)], HIDDEN),
    `POST /a ${HIDDEN}`,
  ),
  served(
    "an upgrade in HTTP/1.0",
    "GET /a HTTP/1.0\r\nConnection: Upgrade, keep-alive\r\nUpgrade: websocket\r\n\r\n",
    "GET /a ",
  ),
];

export const requests: readonly Sent[] = [
  ...codings,
  ...lengths,
  ...connections,
  ...chunkLines,
  ...heads,
  ...others,
];
