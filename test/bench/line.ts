/**
 * HTTP/1.1 of an agent without containers: one connection for its requests, one for each watch, as
 * an agent has them, at a fraction of what fetch costs: the server shares the machine's cores.
 */
import type { Socket } from "bun";

export interface Peer {
  readonly hostname: string;
  readonly port: number;
  readonly caPem: string;
}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

/** With the milliseconds from sending to the whole answer. */
type Timed = Answer & { readonly tookMs: number };

const HEAD_END = Buffer.from("\r\n\r\n");
const LAST_CHUNK = "0\r\n\r\n";

/** Opens a TLS connection; `onClose` is called once, when it is over. */
function dial(
  { hostname, port, caPem }: Peer,
  onData: (bytes: Buffer) => void,
  onClose: () => void,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const opened = Bun.connect({
      ...{ hostname, port, tls: { ca: caPem } },
      socket: {
        handshake: (socket, ok, error) => {
          if (ok) resolve(socket);
          else reject(error ?? new Error("no handshake"));
        },
        data: (_socket, bytes) => onData(bytes),
        close: () => {
          reject(new Error("closed"));
          onClose();
        },
        error: (_socket, error) => reject(error),
      },
    });
    opened.catch(reject);
  });
}

/** The head of an answer, and where its body begins; undefined until it is whole. */
function headOf(bytes: Buffer): { status: number; text: string; end: number } | undefined {
  const at = bytes.indexOf(HEAD_END);
  if (at < 0) return undefined;
  const text = bytes.toString("latin1", 0, at).toLowerCase();
  return { status: Number(text.slice(9, 12)), text, end: at + HEAD_END.length };
}

/** Takes chunks apart as they come. */
class Chunks {
  #rest: Buffer = Buffer.alloc(0);
  done = false;

  take(bytes: Buffer): Buffer[] {
    let rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const out: Buffer[] = [];
    while (!this.done) {
      const line = rest.indexOf("\r\n");
      if (line < 0) break;
      const size = Number.parseInt(rest.toString("latin1", 0, line), 16);
      if (rest.length < line + 4 + size) break;
      if (size === 0) this.done = true;
      else out.push(rest.subarray(line + 2, line + 2 + size));
      rest = rest.subarray(line + 4 + size);
    }
    // A copy: what the socket handed over is its own.
    this.#rest = Buffer.from(rest);
    return out;
  }
}

/** Takes the parts of an answer until it is whole; long ones are put together once. */
class AnswerReader {
  #parts: Buffer[] = [];
  #size = 0;
  #wanted = 0;

  take(bytes: Buffer): Answer | undefined {
    this.#parts.push(Buffer.from(bytes));
    this.#size += bytes.length;
    const { length } = bytes;
    const isLast = bytes.toString("latin1", Math.max(0, length - LAST_CHUNK.length)) === LAST_CHUNK;
    if (!isLast && this.#size < this.#wanted) return undefined;
    const all = Buffer.concat(this.#parts);
    this.#parts = [all];
    return this.#read(all);
  }

  #read(all: Buffer): Answer | undefined {
    const head = headOf(all);
    if (head === undefined) return undefined;
    const { status, end } = head;
    const body = all.subarray(end);
    if (head.text.includes("\r\ntransfer-encoding: chunked")) {
      this.#wanted = Number.POSITIVE_INFINITY;
      const chunks = new Chunks();
      const pieces = chunks.take(body);
      return chunks.done ? { status, body: Buffer.concat(pieces) } : undefined;
    }
    const length = Number(/\r\ncontent-length: (\d+)/.exec(head.text)?.[1] ?? 0);
    this.#wanted = end + length;
    return body.length < length ? undefined : { status, body: body.subarray(0, length) };
  }
}

function requestText(peer: Peer, method: string, path: string, fields: readonly string[]): string {
  const host = `host: ${peer.hostname}:${peer.port}`;
  return [`${method} ${path} HTTP/1.1`, host, ...fields, "", ""].join("\r\n");
}

/** Requests of one agent, one after the other on one connection. */
export class Line {
  readonly #peer: Peer;
  #socket: Socket | undefined;
  #reader = new AnswerReader();
  #waiting: PromiseWithResolvers<Answer> | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(peer: Peer) {
    this.#peer = peer;
  }

  /** `fields`: header lines. @throws where the connection is lost. */
  ask(method: string, path: string, fields: readonly string[], body = ""): Promise<Timed> {
    const answer = this.#turn.then(() => this.#send(method, path, fields, body));
    this.#turn = answer.catch(() => {});
    return answer;
  }

  async #send(
    method: string,
    path: string,
    fields: readonly string[],
    body: string,
  ): Promise<Timed> {
    this.#socket ??= await dial(
      this.#peer,
      (bytes) => this.#data(bytes),
      () => this.#closed(),
    );
    const waiting = Promise.withResolvers<Answer>();
    this.#waiting = waiting;
    const length = `content-length: ${Buffer.byteLength(body)}`;
    const text = requestText(this.#peer, method, path, [...fields, length]) + body;
    // A request is small: the kernel takes it whole, or the connection is gone.
    const sentMs = performance.now();
    if (this.#socket.write(text) < 0) throw new Error("the connection is gone");
    return { ...(await waiting.promise), tookMs: performance.now() - sentMs };
  }

  #data(bytes: Buffer): void {
    const answer = this.#reader.take(bytes);
    if (answer === undefined) return;
    this.#reader = new AnswerReader();
    this.#waiting?.resolve(answer);
  }

  #closed(): void {
    this.#socket = undefined;
    this.#reader = new AnswerReader();
    this.#waiting?.reject(new Error("the connection was lost"));
  }
}

/**
 * One watch. Lines go to `onLine`; without it what comes is only counted. Resolves at its end.
 * @throws for another answer than 200.
 */
export async function watchLines(
  peer: Peer,
  path: string,
  fields: readonly string[],
  onLine?: (line: string) => void,
): Promise<void> {
  const over = Promise.withResolvers<void>();
  const onData = onLine === undefined ? untilLast(over.resolve) : linesTo(onLine, over);
  const socket = await dial(peer, onData, () => over.resolve());
  try {
    socket.write(requestText(peer, "GET", path, fields));
    await over.promise;
  } finally {
    socket.end();
  }
}

/** Looks only whether the last chunk has come. */
function untilLast(onLast: () => void): (bytes: Buffer) => void {
  let tail = "";
  return (bytes) => {
    const from = Math.max(0, bytes.length - LAST_CHUNK.length);
    tail = (tail + bytes.toString("latin1", from)).slice(-LAST_CHUNK.length);
    if (tail === LAST_CHUNK) onLast();
  };
}

function linesTo(
  onLine: (line: string) => void,
  over: PromiseWithResolvers<void>,
): (bytes: Buffer) => void {
  const chunks = new Chunks();
  const decoder = new TextDecoder();
  let head: Buffer | undefined = Buffer.alloc(0);
  let rest = "";
  const lines = (bytes: Buffer): void => {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) if (part !== "") onLine(part);
  };
  return (bytes) => {
    let body = bytes;
    if (head !== undefined) {
      head = Buffer.concat([head, bytes]);
      const found = headOf(head);
      if (found === undefined) return;
      if (found.status !== 200) over.reject(new Error(`a watch was answered ${found.status}`));
      body = head.subarray(found.end);
      head = undefined;
    }
    try {
      for (const chunk of chunks.take(body)) lines(chunk);
    } catch (error) {
      over.reject(error);
    }
    if (chunks.done) over.resolve();
  };
}
