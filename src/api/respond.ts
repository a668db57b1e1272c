/** Answers: ready text as it is; pretty, YAML and gzip only where asked for. */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { stringify as toYaml } from "yaml";
import type { Call } from "#api/core.ts";
import { refuse, type Status } from "#api/errors.ts";
import { negotiate, PROTOBUF } from "#api/negotiate.ts";
import { gzipPieces } from "#api/pieces.ts";
import { PackedResponse, type Slice, SlicedResponse } from "#api/slices.ts";
import { wholeResponse } from "#api/whole.ts";
import { limits } from "#base/limits.ts";
import { encodeProtobuf, hasProtobuf } from "#resources/protobuf.ts";

const compress = promisify(gzip);

const JSON_HEADERS = {
  "content-type": "application/json",
  "cache-control": "no-cache, private",
};

/** A warning's text must not end the header it travels in. */
const quotedText = (text: string): string =>
  JSON.stringify(text.replaceAll(/[\r\n]+/g, " ")).replaceAll(/[^\x20-\x7e]/g, "?");

/** Each once; where they are too long in all, each is cut and the last ones go, as upstream. */
function shownWarnings(all: readonly string[]): string[] {
  const once = [...new Set(all)];
  const letters = once.reduce((sum, { length }) => sum + length, 0);
  if (letters <= limits.warningCharactersMax) return once;
  const cut = once.map((text) => text.slice(0, limits.warningCutCharactersMax));
  let written = 0;
  return cut.filter(({ length }) => {
    const fits = written < limits.warningCharactersMax;
    written += length;
    return fits;
  });
}

function headersOf(call: Call): Headers | typeof JSON_HEADERS {
  if (call.warnings.length === 0) return JSON_HEADERS;
  const headers = new Headers(JSON_HEADERS);
  for (const warning of shownWarnings(call.warnings)) {
    headers.append("warning", `299 - ${quotedText(warning)}`);
  }
  return headers;
}

export function withWarnings(call: Call, response: Response): Response {
  const warning = new Headers(headersOf(call)).get("warning");
  if (warning !== null) response.headers.set("warning", warning);
  return response;
}

const isPretty = (call: Call): boolean => {
  const pretty = call.query.get("pretty");
  return pretty !== null && pretty !== "0" && pretty !== "false";
};

/** An answer of JSON text. */
export function respondText(call: Call, text: string, code = 200): Response | Promise<Response> {
  const { request } = call;
  if (call.query.size > 0 && isPretty(call)) {
    const pretty = `${JSON.stringify(JSON.parse(text), null, 2)}\n`;
    return wholeResponse(pretty, { status: code, headers: headersOf(call) });
  }
  const { encoding } = negotiate(request.headers.get("accept"));
  if (encoding !== "json") return encoded(call, text, code, encoding);
  if (text.length > limits.gzipBytesMin && wantsGzip(call)) return zipped(call, text, code);
  return wholeResponse(text, { status: code, headers: headersOf(call) });
}

function encoded(call: Call, text: string, code: number, encoding: "yaml" | "protobuf"): Response {
  const headers = new Headers(headersOf(call));
  const object = JSON.parse(text) as { apiVersion?: string; kind?: string };
  if (encoding === "yaml") {
    headers.set("content-type", "application/yaml");
    return wholeResponse(toYaml(object), { status: code, headers });
  }
  if (!hasProtobuf(object.apiVersion ?? "", object.kind ?? "")) {
    throw refuse.notAcceptable(["application/json", "application/yaml"]);
  }
  headers.set("content-type", PROTOBUF);
  return wholeResponse(encodeProtobuf(object), { status: code, headers });
}

/** Whether the client gets JSON text without line breaks: it can be made piece by piece. */
export function isSliceable(call: Call): boolean {
  return negotiate(call.request.headers.get("accept")).encoding === "json" && !isPretty(call);
}

/**
 * An answer of JSON text whose pieces are made when the client is ready for them, of about so many
 * characters.
 */
export function respondSlices(
  call: Call,
  slices: IterableIterator<Slice>,
  chars: number,
): Response {
  const min = isNear(call) ? limits.gzipNearBytesMin : limits.gzipBytesMin;
  if (chars <= min || !takesGzip(call)) {
    return new SlicedResponse(slices, { headers: headersOf(call) });
  }
  return new PackedResponse(gzipPieces(slices), { headers: packedHeaders(call) });
}

export function respond(call: Call, object: object, code = 200): Response | Promise<Response> {
  return respondText(call, JSON.stringify(object), code);
}

/** Whether the client unpacks what it gets; who asks within this process does not. */
function takesGzip({ env, request }: Call): boolean {
  if (env.remoteAddress === undefined) return false;
  return /\bgzip\b/.test(request.headers.get("accept-encoding") ?? "");
}

/** Whether it comes over loopback. */
const isNear = ({ env }: Call): boolean => /^(::ffff:)?127\.|^::1$/.test(env.remoteAddress ?? "");

/** Over loopback, packing what is made for one client costs more than it saves. */
const wantsGzip = (call: Call): boolean => takesGzip(call) && !isNear(call);

function packedHeaders(call: Call): Headers {
  const headers = new Headers(headersOf(call));
  headers.set("content-encoding", "gzip");
  headers.append("vary", "Accept-Encoding");
  return headers;
}

async function zipped(call: Call, text: string, code: number): Promise<Response> {
  const headers = packedHeaders(call);
  return wholeResponse(await compress(text, { level: 1 }), { status: code, headers });
}

export function respondStatus(status: Status): Response {
  const headers: Record<string, string> = { ...JSON_HEADERS };
  const seconds = status.details?.retryAfterSeconds;
  if (seconds !== undefined) headers["retry-after"] = String(seconds);
  if (status.code === 401) headers["www-authenticate"] = 'Bearer realm="kubernetes"';
  return wholeResponse(JSON.stringify(status), { status: status.code, headers });
}

/** A bare Status for what has no object to show. */
export function success(call: Call, code = 200): Response | Promise<Response> {
  const status = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code };
  return respond(call, status, code);
}
