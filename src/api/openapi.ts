/** Serves the OpenAPI documents, with ETags, so that clients keep them. */
import { refuse } from "#api/errors.ts";
import type { Registry } from "#api/registry.ts";
import type { Kind } from "#resources/kind.ts";
import type { OtherDocument } from "#resources/openapi/merge.ts";
import {
  OPENAPI_V2_PROTOBUF,
  type OpenApiDocument,
  openApiV2,
  openApiV2Protobuf,
  openApiV3,
  openApiV3Index,
} from "#resources/openapi.ts";

const V3 = "/openapi/v3";
const YEAR_SECONDS = 31_536_000;

function send(
  request: Request,
  document: OpenApiDocument,
  hashed: boolean,
  contentType = "application/json",
): Response {
  const etag = `"${document.hash}"`;
  const headers: Record<string, string> = {
    "content-type": contentType,
    etag,
    vary: "Accept",
    "cache-control": hashed ? `public, immutable, max-age=${YEAR_SECONDS}` : "no-cache, private",
  };
  if (request.headers.get("if-none-match") === etag) {
    return new Response(null, { status: 304, headers });
  }
  return new Response(document.bytes, { headers });
}

const takesJson = (accept: string | null): boolean =>
  accept === null || /\*\/\*|application\/(\*|json)/.test(accept);

/** What other servers have to say. */
export interface OtherDocuments {
  /** Path in the index -> where the document is. */
  readonly v3: ReadonlyMap<string, string>;
  readonly v2: readonly OtherDocument[];
}

/** The index, with the documents of other servers where those say they are. */
function indexWith(kinds: readonly Kind[], others: OtherDocuments["v3"]): OpenApiDocument {
  const own = openApiV3Index(kinds);
  if (others.size === 0) return own;
  const { paths } = JSON.parse(Buffer.from(own.bytes).toString()) as { paths: object };
  const more = [...others].map(([path, serverRelativeURL]) => [path, { serverRelativeURL }]);
  const bytes = Buffer.from(JSON.stringify({ paths: { ...paths, ...Object.fromEntries(more) } }));
  const hash = new Bun.CryptoHasher("sha256").update(bytes).digest("hex").toUpperCase();
  return { bytes, hash };
}

/** Undefined for a path that is no document. */
export function openApiAnswer(
  registry: Registry,
  request: Request,
  others: OtherDocuments,
): Response | undefined {
  const accept = request.headers.get("accept");
  const { pathname, searchParams } = new URL(request.url);
  const kinds: Kind[] = [...registry.all()].map(({ kind }) => kind);
  if (pathname === "/openapi/v2" && !takesJson(accept) && accept?.includes(OPENAPI_V2_PROTOBUF)) {
    // The `@` that it is asked for with is allowed in no type: client-go takes it for an error.
    const type = OPENAPI_V2_PROTOBUF.replace("@", ".");
    return send(request, openApiV2Protobuf(kinds, others.v2), false, type);
  }
  if (!takesJson(accept)) throw refuse.notAcceptable(["application/json"]);
  if (pathname === "/openapi/v2") return send(request, openApiV2(kinds, others.v2), false);
  if (pathname === V3 || pathname === `${V3}/`) {
    return send(request, indexWith(kinds, others.v3), false);
  }
  const document = openApiV3(kinds, pathname.slice(V3.length + 1));
  if (document === undefined) return undefined;
  const hash = searchParams.get("hash");
  if (hash !== null && hash !== document.hash) {
    const location = `${pathname}?hash=${document.hash}`;
    return new Response(null, { status: 301, headers: { location } });
  }
  return send(request, document, hash !== null);
}
