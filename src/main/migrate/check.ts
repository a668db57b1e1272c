/** Whether every object arrived as it was: a digest of each, of all but its revision. */
import { createHash } from "node:crypto";
import { stampRevision } from "#api/codec.ts";
import { OperatorError } from "#base/errors.ts";

/** One object as it is moved, its value as readers see it. */
export interface Moved {
  readonly key: string;
  readonly value: string;
  /** As clients saw it; of an object that comes into etcd it is a new one. */
  readonly revision: number;
}

const digestOf = ({ key, value }: Moved): string =>
  createHash("sha256")
    .update(`${key}\0${stampRevision(value, 0)}`)
    .digest("base64");

export class Checklist {
  readonly #digests = new Map<string, string>();

  get count(): number {
    return this.#digests.size;
  }

  /** What shall arrive. */
  add(object: Moved): void {
    this.#digests.set(object.key, digestOf(object));
  }

  /** @throws OperatorError naming the first object that is missing, another one or too many. */
  async assertAll(arrived: AsyncIterable<Moved> | Iterable<Moved>): Promise<void> {
    const missing = new Map(this.#digests);
    for await (const object of arrived) {
      const digest = missing.get(object.key);
      if (digest === undefined) throw new OperatorError(`${object.key} is one too many`);
      if (digest !== digestOf(object)) throw new OperatorError(`${object.key} is not as it was`);
      missing.delete(object.key);
    }
    const [first] = missing.keys();
    if (first !== undefined) {
      throw new OperatorError(`${missing.size} objects did not arrive, one is ${first}`);
    }
  }
}
