/** Get and list. The plain form sends stored texts as they are; only other forms parse. */
import { decodeItem, storeKey } from "#api/codec.ts";
import type { Call, Core } from "#api/core.ts";
import { itemIn, itemsIn } from "#api/custom/convert.ts";
import { refuse } from "#api/errors.ts";
import { type Form, negotiate } from "#api/negotiate.ts";
import type { Resource } from "#api/registry.ts";
import { isSliceable, respond, respondSlices, respondText } from "#api/respond.ts";
import { type Selection, selectionOf } from "#api/select.ts";
import type { Slice } from "#api/slices.ts";
import { metadataOf, tableOf } from "#api/table.ts";
import {
  encodeContinue,
  expiredContinue,
  parseRevision,
  readPointOf,
  refuseFuture,
} from "#api/versions.ts";
import { limits } from "#base/limits.ts";
import type { Stored } from "#resources/meta.ts";
import { GoneError, type Item, type ListOptions, type Page } from "#store/store.ts";

/** The object in the version that was asked for; it belongs to the caller. */
export function inVersion(resource: Resource, item: Item): Stored {
  const { storedAs } = resource.kind;
  const object = decodeItem(item);
  if (storedAs === undefined && !resource.custom) return object;
  const converted = (storedAs?.fromStored(object) ?? object) as Stored;
  const named = { ...converted, kind: resource.kind.kind, apiVersion: resource.apiVersion };
  if (resource.defaultsOnRead === true) resource.kind.defaults(named);
  return named;
}

/** The text in the version that was asked for; no parse where that is the stored one. */
export function textInVersion(resource: Resource, item: Item): string {
  const { storedAs } = resource.kind;
  if (storedAs === undefined && !resource.custom) return item.value;
  // A definition's storage version may have changed since the object was written.
  const plain = storedAs === undefined && resource.defaultsOnRead !== true;
  if (plain && item.value.startsWith(headOf(resource))) return item.value;
  return JSON.stringify(inVersion(resource, item));
}

const headOf = ({ kind, apiVersion }: Resource): string =>
  `{"kind":${JSON.stringify(kind.kind)},"apiVersion":${JSON.stringify(apiVersion)},`;

export function keyOf(call: Call, name: string): string {
  return storeKey(call.resource.bucket, call.target.namespace, name);
}

/** The item that the path names. @throws ApiError 404. */
export async function mustGet(core: Core, call: Call): Promise<Item> {
  const name = call.target.name ?? "";
  const item = await core.store.get(keyOf(call, name));
  if (item === undefined) throw refuse.notFound(call.resource.kind, name);
  return item;
}

export async function getOne(core: Core, call: Call): Promise<Response> {
  if (call.query.size > 0) {
    const version = call.query.get("resourceVersion") ?? "";
    if (version !== "") refuseFuture(parseRevision(version), core.store.revision());
  }
  const form = negotiate(call.request.headers.get("accept"));
  const item = await mustGet(core, call);
  return answerItem(core, call, form, item);
}

/** One object in the form that the client asked for. */
export async function answerItem(
  core: Core,
  call: Call,
  form: Form,
  stored: Item,
  code = 200,
): Promise<Response> {
  const item = await itemIn(call.resource, stored);
  if (form.as === "object") return respondText(call, textInVersion(call.resource, item), code);
  const object = inVersion(call.resource, item);
  if (form.as === "metadata") return respond(call, metadataOf(object), code);
  return respond(call, tableOf(core, call, [object], object.metadata), code);
}

async function readPage(
  core: Core,
  options: ListOptions,
  start: string | undefined,
): Promise<Page> {
  try {
    return await core.store.list(options);
  } catch (error) {
    if (!(error instanceof GoneError)) throw error;
    if (start !== undefined) throw expiredContinue(start);
    throw refuse.expired(
      `The provided resource version is too old: ${options.revision} (${core.store.revision()})`,
    );
  }
}

export interface ListMeta {
  resourceVersion: string;
  continue?: string;
  remainingItemCount?: number;
}

/** A page's items in the version that was asked for. */
async function itemsOf(call: Call, page: Page, { filter, late }: Selection) {
  const items = await itemsIn(call.resource, page.items, late === true);
  if (late !== true || filter === undefined) return items;
  return items.filter(({ terms }) => filter(terms));
}

export async function listItems(
  core: Core,
  call: Call,
): Promise<{ items: readonly Item[]; meta: ListMeta }> {
  const selection = selectionOf(call);
  const { prefix, filter, late, name: filterName } = selection;
  const point = readPointOf(call, core.store.revision());
  const { start, limit, revision } = point;
  const page = await readPage(
    core,
    {
      prefix,
      ...(start !== undefined && { after: prefix + start }),
      ...(limit !== undefined && { limit }),
      ...(revision !== undefined && { revision }),
      ...(filter !== undefined && late !== true && { filter }),
      ...(filterName !== undefined && late !== true && { filterName }),
    },
    start,
  );
  const meta: ListMeta = { resourceVersion: String(page.revision) };
  if (page.next !== undefined) {
    meta.continue = encodeContinue(page.revision, page.next.slice(prefix.length));
    if (page.remaining !== undefined && filter === undefined) {
      meta.remainingItemCount = page.remaining;
    }
  }
  return { items: await itemsOf(call, page, selection), meta };
}

/** A list in pieces: what stands before its items, and the texts of some of them. */
interface Pieces {
  readonly opening: string;
  readonly slice: (items: readonly Item[]) => string[];
  readonly step: number;
  /** The texts are those of the store: what they are packed to may be kept. */
  readonly plain?: boolean;
}

const textsOf = (list: readonly object[]): string[] => list.map((one) => JSON.stringify(one));

function piecesOf(core: Core, call: Call, form: Form, meta: ListMeta): Pieces {
  const { kind, apiVersion } = call.resource;
  const objectsOf = (items: readonly Item[]) => items.map((item) => inVersion(call.resource, item));
  const step = limits.listSliceObjects;
  if (form.as === "table") {
    const table = JSON.stringify(tableOf(core, call, [], meta));
    const rows = (items: readonly Item[]) => tableOf(core, call, objectsOf(items), {}, false).rows;
    return { opening: table.slice(0, -2), slice: (items) => textsOf(rows(items)), step };
  }
  const head = (of: object): string => `${JSON.stringify(of).slice(0, -1)},"items":[`;
  if (form.as === "metadata") {
    const of = { kind: "PartialObjectMetadataList", apiVersion: "meta.k8s.io/v1", metadata: meta };
    return { opening: head(of), slice: (items) => textsOf(objectsOf(items).map(metadataOf)), step };
  }
  const opening = head({ kind: kind.listKind, apiVersion, metadata: meta });
  const text = (item: Item) => textInVersion(call.resource, item);
  const plain = !call.resource.custom && kind.storedAs === undefined;
  return { opening, slice: (items) => items.map(text), step: limits.listSliceItems, plain };
}

export async function listMany(core: Core, call: Call): Promise<Response> {
  const form = negotiate(call.request.headers.get("accept"));
  const { items, meta } = await listItems(core, call);
  const pieces = piecesOf(core, call, form, meta);
  if (items.length < limits.listSlicedMin || !isSliceable(call)) {
    return respondText(call, `${pieces.opening}${pieces.slice(items).join(",")}]}`);
  }
  const slices = pieces.plain ? runsOf(core, pieces, items) : slicesOf(pieces, items);
  return respondSlices(call, slices, charsOf(items));
}

function charsOf(items: readonly Item[]): number {
  let chars = 0;
  for (const { value } of items) chars += value.length;
  return chars;
}

/** A long list is made and sent piece by piece, so that others get their turn in between. */
function* slicesOf({ opening, slice, step }: Pieces, items: readonly Item[]): Generator<Slice> {
  for (let from = 0; from < items.length; ) {
    let to = from;
    let size = 0;
    while (to < items.length && to - from < step && size < limits.listSliceChars) {
      size += items[to]?.value.length ?? 0;
      to += 1;
    }
    const texts = slice(items.slice(from, to));
    const before = from === 0 ? opening : ",";
    yield { before, texts: () => texts, after: to === items.length ? "]}" : "" };
    from = to;
  }
}

/** The same of plain texts: what is packed again and again is packed once. */
function* runsOf(core: Core, pieces: Pieces, items: readonly Item[]): Generator<Slice> {
  const { opening, slice } = pieces;
  let from = 0;
  for (const run of core.runs.of(items)) {
    const at = from;
    from += run.length;
    let made: readonly string[] | undefined;
    yield {
      before: at === 0 ? opening : "",
      texts() {
        made ??= slice(items.slice(at, at + run.length));
        return made;
      },
      after: from === items.length ? "]}" : ",",
      packed: run.packed,
      keep: (packed) => core.runs.keep(run, packed),
    };
  }
}
