/**
 * The contract of a datastore: one global revision, compare-and-set, watch. It knows keys, texts,
 * revisions and index terms; it never parses a value. Implementations: `sqlite.ts`.
 *
 * A key is `BUCKET/REST` where the bucket is its first two segments (`apps/deployments`), so that
 * lists and watches of one resource touch nothing else: `apps/deployments/NAMESPACE/NAME`.
 */

/** What a filter may look at without parsing the value. */
export interface Terms {
  readonly labels: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, string>>;
}

export interface Item {
  readonly key: string;
  /** The text that a reader gets: the written value, stamped with its revision. */
  readonly value: string;
  /**
   * Revision of the last change. Revisions start at 1 and never go back, also after a power cut.
   */
  readonly revision: number;
  readonly terms: Terms;
}

/** How the API's values carry their revision; also derives the terms of what was read from disk. */
export interface Codec {
  stamp(value: string, revision: number): string;
  terms(key: string, value: string): Terms;
  /**
   * Names that no other key may hold as long as this value stands. Only a datastore that several
   * servers write to looks at it: a single one knows by itself what it gave out.
   */
  claims?(key: string, value: string): readonly string[];
}

export interface Write {
  readonly key: string;
  /** Without a value the key is deleted. */
  readonly value?: string;
  readonly terms?: Terms;
  /** Revision that the key must have now; 0: it must not exist. */
  readonly expect: number;
  /**
   * `lazy` is acknowledged before it is on the disk and rides along with the next commit: for Lease
   * renewals and Events only, so that an idle cluster does not wear out an SD card.
   */
  readonly durability?: "disk" | "lazy";
  /** It is done only while this lasts. @throws StorageError after it. */
  readonly term?: Term;
  /**
   * What `known` told and the write was decided by: StaleError where it changed since. Only a
   * datastore that several servers write to looks at it: a single one knows of no other change.
   */
  readonly rests?: readonly Seen[];
}

/**
 * A time in which one of several servers alone may write something. The next one ends it: what is
 * under way of it then arrives nowhere.
 */
export interface Term {
  /** Of the change that began it, as the datastore counts. */
  readonly revision: number;
}

/** An item as somebody saw it. */
export type Seen = Pick<Item, "key" | "revision">;

export interface Change {
  readonly type: "put" | "delete";
  readonly revision: number;
  /** After the change. For a delete: the last value, stamped with the revision of the delete. */
  readonly item: Item;
  /** Before the change; absent for a create. */
  readonly previous?: Item;
}

export interface ListOptions {
  /** Begins with a whole bucket and ends with a slash: `/pods/` or `/pods/default/`. */
  readonly prefix: string;
  /** Only keys after this one. */
  readonly after?: string;
  readonly limit?: number;
  /** State as of this revision; GoneError where the history does not reach. Default: now. */
  readonly revision?: number;
  readonly filter?: (terms: Terms, key: string) => boolean;
  /** The same name stands for the same filter: what it chose is remembered. */
  readonly filterName?: string;
}

export interface Page {
  readonly items: readonly Item[];
  /** The revision that the page shows. */
  readonly revision: number;
  /** Key to go on after; absent on the last page. */
  readonly next?: string;
  /** Keys after this page; only known without a filter. */
  readonly remaining?: number;
}

/** A field of an item's terms, and what it must be; one that is missing is the empty text. */
export interface FieldValue {
  readonly name: string;
  readonly value: string;
}

export interface WatchOptions {
  readonly prefix: string;
  /** Only changes of items that have this value, or had it before. */
  readonly field?: FieldValue;
  /** Where many watch alike, it may be told later, and many changes at a time. */
  readonly patient?: boolean;
  /** Changes after this revision; GoneError where the history does not reach. */
  readonly after: number;
  /**
   * Called with changes in order, each exactly once; never re-entrantly, never before `watch`
   * returned.
   */
  readonly onChanges: (changes: readonly Change[]) => void;
  /** The watch ended by the store's will: it closed, or lost its place. Watch again from a list. */
  readonly onClosed: (reason: Error) => void;
}

export interface Watch {
  close(): void;
  /** The revision of the oldest change that it is not told yet; undefined: it knows all. */
  behind(): number | undefined;
}

export interface Store {
  /** The newest revision that readers see; everything up to it is durable, lazy writes excepted. */
  revision(): number;
  get(key: string): Promise<Item | undefined>;
  /** What this server last heard of a key; another server may have changed it since. */
  known(key: string): Item | undefined;
  list(options: ListOptions): Promise<Page>;
  /** Resolves once durable and visible. ConflictError where `expect` or a claim does not hold. */
  write(write: Write): Promise<Item>;
  watch(options: WatchOptions): Watch;
  /** Forgets history up to and including this revision. */
  compact(revision: number): Promise<void>;
  /** What the history of changes costs, bytes of memory, estimated. */
  historyBytes(): number;
  /**
   * Begins a term where an item is still as it was seen; undefined where it is not. Absent where
   * one server alone has the datastore.
   */
  beginTerm?(seen: Seen): Promise<Term | undefined>;
  /** Number of keys under a prefix. */
  count(prefix: string): number;
  /** Flushes and ends; later calls reject. */
  close(): Promise<void>;
}

/** `expect` did not hold. `current` is what stands there now, if anything. */
export class ConflictError extends Error {
  override name = "ConflictError";
  readonly current: Item | undefined;
  constructor(key: string, current: Item | undefined) {
    super(`conflict at ${key}`);
    this.current = current;
  }
}

/** Another key holds a name that this one claims. `current` is what stands at this one. */
export class ClaimedError extends ConflictError {
  override name = "ClaimedError";
  constructor(key: string, current: Item | undefined, names: readonly string[]) {
    super(key, current);
    this.message = `${key} cannot have ${names.join(", ")}: another one has it`;
  }
}

/** The asked revision is older than the history, or from the future. */
export class GoneError extends Error {
  override name = "GoneError";
}

/** The asked revision is newer than any: of another datastore, or of one restored from a backup. */
export class FutureRevisionError extends GoneError {
  override name = "FutureRevisionError";
  /** The newest revision that readers see. */
  readonly current: number;
  constructor(asked: number, current: number) {
    super(`too large resource version: ${asked}, current: ${current}`);
    this.current = current;
  }
}

/** The disk refused (full, I/O error): nothing was written, try again later. */
export class StorageError extends Error {
  override name = "StorageError";
}

/** What a write rests on is not as it was seen any more: nothing was written, decide again. */
export class StaleError extends StorageError {
  override name = "StaleError";
}

/** More writes are waiting than the store's limit. */
export class BusyError extends Error {
  override name = "BusyError";
}
