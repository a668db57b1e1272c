/**
 * One request on a connection of its own, which says how far it came when it failed. A socket of
 * its own, as fetch() lets requests past the 256th wait, and tells of no step.
 */
import { connect } from "node:net";
import { messageOf } from "#base/errors.ts";
import { statusOf } from "#base/httpanswer.ts";

export interface Answer {
  status: number;
  body: string;
}

export interface GetOptions {
  /** Whom the request names. Default: the URL's. */
  host?: string;
  answerMsMax: number;
  /** Asked while a connection that is given up is still there; its answer ends the error's text. */
  look?: (localPort: number) => string;
}

/** @throws Error for bytes that are no whole answer */
function answerOf(text: string): Answer {
  const end = text.indexOf("\r\n\r\n");
  const status = statusOf(text);
  if (end < 0 || status === undefined) throw new Error(`${text.length} bytes of an answer`);
  const body = text.slice(end + 4);
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end))?.[1];
  if (length !== undefined && Number(length) !== body.length)
    throw new Error(`${body.length} of ${length} bytes`);
  return { status, body };
}

/** For a body of ASCII. Rejects with why there is no whole answer, and the step it waited in. */
export function plainGet(url: string, options: GetOptions): Promise<Answer> {
  const { hostname, port, pathname } = new URL(url);
  const { host = hostname, answerMsMax, look } = options;
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  let text = "";
  let step = "connecting";
  const socket = connect({ host: hostname, port: Number(port) || 80 });
  const fail = (why: string) => {
    socket.destroy();
    reject(new Error(`${why} while ${step}`));
  };
  const late = setTimeout(() => {
    const seen = look?.(socket.localPort ?? 0);
    fail(`time-out${seen === undefined ? "" : ` (${seen})`}`);
  }, answerMsMax);
  socket.on("connect", () => {
    step = "waiting for the answer";
    socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  });
  socket.on("data", (chunk: Buffer) => {
    step = "reading the answer";
    text += chunk.toString("latin1");
  });
  socket.on("error", (error: NodeJS.ErrnoException) => fail(error.code ?? error.message));
  socket.on("close", () => {
    try {
      resolve(answerOf(text));
    } catch (error) {
      fail(messageOf(error));
    }
  });
  return promise.finally(() => clearTimeout(late));
}
