/**
 * Taking in a device that waits: it shows a short code, which the operator gives to `bramble
 * adopt`. From the code both make a key (`pake.ts`), and under that key goes a join token, which
 * names the cluster's CA. So nobody on the network can pass for the device, for the server, or hear
 * the token.
 */
import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { beginExchange, type Exchange } from "#agents/join/pake.ts";
import { decrypt, encrypt, TAG_BYTES } from "#base/cipher.ts";
import { type Clock, sleep } from "#base/clock.ts";
import { messageOf, OperatorError } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import { nameSuffix, type Random } from "#base/random.ts";

/** What the device gets: all that it needs to join. */
export interface Parcel {
  token: string;
  /** URLs of servers; mDNS finds others. */
  servers: string[];
}

export const BEGIN_PATH = "/bramble/v1/pair";
export const FINISH_PATH = "/bramble/v1/pair/finish";

const CODE_LETTERS = 6;
/** Wrong codes before the device shows another one. */
const TRIES_MAX = 3;
const NONCE = Buffer.alloc(12);

/** What is typed: without dashes, in lower case. */
const plainCode = (code: string): string => code.toLowerCase().replace(/[^a-z0-9]/g, "");

/** Whether a device could show this code. */
export const isCode = (text: string): boolean => plainCode(text).length === CODE_LETTERS;

function newCode(random: Random): string {
  const letters = nameSuffix(random, CODE_LETTERS);
  return `${letters.slice(0, 3)}-${letters.slice(3)}`;
}

const derive = (key: Uint8Array, use: string): Uint8Array =>
  new Uint8Array(hkdfSync("sha256", key, "", use, 32));

/** A key of its own for each exchange, used once: the nonce need not differ. */
function seal(key: Uint8Array, text: string): Uint8Array {
  const { tag, body } = encrypt(derive(key, "parcel"), NONCE, text);
  return Buffer.concat([tag, body]);
}

function unseal(key: Uint8Array, bytes: Uint8Array): string {
  const [tag, body] = [bytes.subarray(0, TAG_BYTES), bytes.subarray(TAG_BYTES)];
  return decrypt(derive(key, "parcel"), { nonce: NONCE, tag, body }).toString("utf8");
}

/** By which the server knows that the device with the code has the parcel. */
const proofOf = (key: Uint8Array): Uint8Array =>
  createHmac("sha256", derive(key, "proof")).update("taken").digest();

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const bytesOf = (value: unknown): Uint8Array =>
  Buffer.from(typeof value === "string" ? value : "", "base64");

export interface DeskOptions {
  name: string;
  random: Random;
  clock: Clock;
  onCode: (code: string) => void;
  onParcel: (parcel: Parcel) => void;
  /** Called with the address of a client that sent a wrong code. */
  onWrongCode: (from: string | undefined) => void;
}

/** The device's side: answers the two requests of a server. */
export class PairingDesk {
  readonly #options: DeskOptions;
  #code: string;
  #wrong = 0;
  #open: { session: string; exchange: Exchange; other: Uint8Array } | undefined;
  /** One after the other: guesses take their time. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: DeskOptions) {
    this.#options = options;
    this.#code = newCode(options.random);
    options.onCode(this.#code);
  }

  async answer(request: Request, from?: string): Promise<Response> {
    const { pathname } = new URL(request.url);
    const known = pathname === BEGIN_PATH || pathname === FINISH_PATH;
    if (request.method !== "POST" || !known) return new Response("no such path", { status: 404 });
    const given: unknown = await request.json().catch(() => undefined);
    const body = (given ?? {}) as Record<string, unknown>;
    if (pathname === BEGIN_PATH) return this.#begin(body);
    const turn = this.#turn.then(() => this.#finish(body, from));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  #begin(body: Record<string, unknown>): Response {
    const { name, random } = this.#options;
    const session = bytesOf(body["session"]);
    const code = plainCode(this.#code);
    const exchange = beginExchange({ code, session, about: name, role: "second", random });
    const other = bytesOf(body["message"]);
    this.#open = { session: base64(session), exchange, other };
    return Response.json({ name, message: base64(exchange.message) });
  }

  async #finish(body: Record<string, unknown>, from: string | undefined): Promise<Response> {
    const open = this.#open;
    this.#open = undefined;
    if (open === undefined || open.session !== body["session"]) {
      return Response.json({ message: "another pairing came in between" }, { status: 409 });
    }
    let key: Uint8Array;
    let parcel: Parcel;
    try {
      key = open.exchange.key(open.other);
      parcel = JSON.parse(unseal(key, bytesOf(body["parcel"]))) as Parcel;
    } catch {
      return this.#refuse(from);
    }
    this.#options.onParcel(parcel);
    return Response.json({ proof: base64(proofOf(key)) });
  }

  async #refuse(from: string | undefined): Promise<Response> {
    const { clock, random, onCode, onWrongCode } = this.#options;
    onWrongCode(from);
    await sleep(clock, limits.pairingPauseMs);
    this.#wrong++;
    if (this.#wrong >= TRIES_MAX) {
      this.#wrong = 0;
      this.#code = newCode(random);
      onCode(this.#code);
    }
    return Response.json({ message: "wrong code" }, { status: 403 });
  }
}

const noDevice = (url: string): OperatorError =>
  new OperatorError(`what answers at ${url} is no device that waits to be taken in`, {
    hint: "its address and port are in its log",
  });

async function ask(url: string, path: string, body: object): Promise<Record<string, unknown>> {
  const signal = AbortSignal.timeout(limits.joinMsMax);
  const headers = { "content-type": "application/json" };
  const request = { method: "POST", headers, body: JSON.stringify(body), signal };
  let answer: Response;
  try {
    answer = await fetch(`${url}${path}`, request);
  } catch (cause) {
    throw new OperatorError(`the device does not answer at ${url}: ${messageOf(cause)}`, { cause });
  }
  const said = (await answer.json().catch(() => ({}))) as Record<string, unknown>;
  const { message } = said;
  if (answer.ok) return said;
  if (typeof message !== "string") throw noDevice(url);
  if (answer.status !== 403) throw new OperatorError(`the device refused: ${message}`);
  throw new OperatorError("the device shows another code", {
    hint: `after ${TRIES_MAX} wrong ones it makes a new one: look at its screen or log again`,
  });
}

/** The key of an exchange that the device has answered. Those of before do not say their name. */
function keyWith(
  device: { url: string; name: string },
  exchange: Exchange,
  { name, message }: Record<string, unknown>,
): Uint8Array {
  if (typeof name === "string" && name !== device.name) {
    throw new OperatorError(`the device at ${device.url} is called ${name}, not ${device.name}`);
  }
  try {
    return exchange.key(bytesOf(message));
  } catch {
    throw noDevice(device.url);
  }
}

/** The server's side. Returns when the right device has the parcel; throws OperatorError. */
export async function handOver(
  device: { url: string; name: string },
  code: string,
  parcel: Parcel,
  random: Random,
): Promise<void> {
  const session = random.bytes(16);
  const about = device.name;
  const exchange = beginExchange({ code: plainCode(code), session, about, role: "first", random });
  const first = { session: base64(session), message: base64(exchange.message) };
  const key = keyWith(device, exchange, await ask(device.url, BEGIN_PATH, first));
  const sealed = base64(seal(key, JSON.stringify(parcel)));
  const finish = { session: base64(session), parcel: sealed };
  const { proof } = await ask(device.url, FINISH_PATH, finish);
  const given = bytesOf(proof);
  const wanted = proofOf(key);
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
    throw new OperatorError("what answered is not the device that shows this code");
  }
}
