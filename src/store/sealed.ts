/**
 * A disk that holds the values of some keys sealed: readers in memory see them plain, the file
 * never does. What stands there in another form is rewritten when the store is opened.
 */
import { messageOf, OperatorError } from "#base/errors.ts";
import type { Disk, Row, StoredRow } from "#store/disk.ts";

/** Turns a value into what may stand in the file, and back. */
export interface Sealer {
  /** Whether the values of this key are sealed when they are written. */
  covers(key: string): boolean;
  seal(key: string, value: string): string;
  /** Whether this is what `seal` would make now: the newest key. */
  isCurrent(stored: string): boolean;
  /** Of any sealed text. @throws Error where the key is not known, or does not fit. */
  open(key: string, stored: string): string;
  isSealed(stored: string): boolean;
}

class SealedDisk implements Disk {
  readonly #inner: Disk;
  readonly #sealer: Sealer;

  constructor(inner: Disk, sealer: Sealer) {
    this.#inner = inner;
    this.#sealer = sealer;
  }

  get ceiling(): number {
    return this.#inner.ceiling;
  }

  get damaged(): boolean {
    return this.#inner.damaged;
  }

  *load(): Generator<StoredRow> {
    for (const row of this.#inner.load()) yield { ...row, value: openRow(this.#sealer, row) };
  }

  commit(rows: Iterable<Row>, ceiling: number): void {
    this.#inner.commit(this.#sealed(rows), ceiling);
  }

  *#sealed(rows: Iterable<Row>): Generator<Row> {
    for (const row of rows) {
      const { id, item } = row;
      if (item === undefined) yield row;
      else yield { id, item: { ...item, value: sealValue(this.#sealer, item) } };
    }
  }

  sync(): Promise<void> {
    return this.#inner.sync();
  }
  mend(): void {
    this.#inner.mend();
  }
  scrub(): void {
    this.#inner.scrub();
  }
  wantsTidy(): boolean {
    return this.#inner.wantsTidy();
  }
  copyLog(): Promise<void> {
    return this.#inner.copyLog();
  }
  endLog(): Promise<void> {
    return this.#inner.endLog();
  }
  close(): void {
    this.#inner.close();
  }
}

type Value = Pick<StoredRow, "key" | "value">;

/** As the value stands in the datastore. */
export const sealValue = (sealer: Sealer | undefined, { key, value }: Value): string =>
  sealer?.covers(key) === true ? sealer.seal(key, value) : value;

/** How values of some keys lie in etcd; readers see them plain. */
export interface Sealing {
  readonly sealer: Sealer;
  /** What the servers share changed, told before what is sealed with its keys. */
  onKeys(value: string): void;
  /** Told once where values were rewritten. */
  onRewritten(count: number): void;
}

/** The plain value of what stands in the datastore. @throws OperatorError */
export function openRow(sealer: Sealer | undefined, { key, value }: Value): string {
  if (sealer === undefined || !sealer.isSealed(value)) return value;
  try {
    return sealer.open(key, value);
  } catch (error) {
    throw new OperatorError(`cannot decrypt ${key} of the datastore: ${messageOf(error)}`, {
      hint: "give the key file that it was encrypted with by --encryption-key-file",
      cause: error,
    });
  }
}

/** Undefined where the value stands as it would be written now. @throws OperatorError */
export function rewritten(sealer: Sealer, row: Value): string | undefined {
  const { key, value } = row;
  const covered = sealer.covers(key);
  if (covered ? sealer.isCurrent(value) : !sealer.isSealed(value)) return undefined;
  const plain = openRow(sealer, row);
  return covered ? sealer.seal(key, plain) : plain;
}

/** How many values stand in the file in another form than they would be written in now. */
function rewrite(inner: Disk, sealer: Sealer): number {
  const rows: Row[] = [];
  for (const row of inner.load()) {
    const value = rewritten(sealer, row);
    if (value === undefined) continue;
    const { id, key, revision } = row;
    rows.push({ id, item: { key, revision, value, terms: { labels: {}, fields: {} } } });
  }
  if (rows.length === 0) return 0;
  inner.commit(rows, inner.ceiling);
  // The old form would stay in pages that nobody uses any more.
  inner.scrub();
  return rows.length;
}

export interface SealedOptions {
  readonly sealer: Sealer;
  /** Told once where values were rewritten. */
  readonly onRewritten: (count: number) => void;
}

/**
 * The disk is still the caller's to close where this throws.
 * @throws OperatorError where a key is missing or wrong; nothing was changed then.
 */
export function sealDisk(inner: Disk, { sealer, onRewritten }: SealedOptions): Disk {
  const count = rewrite(inner, sealer);
  if (count > 0) onRewritten(count);
  return new SealedDisk(inner, sealer);
}
