/**
 * Randomness as an argument. The real source uses the system's CSPRNG, because codes, names and
 * identifiers on the wire must not be predictable.
 */

export interface Random {
  /** A number in [0, 1). */
  next(): number;
  uuid(): string;
  bytes(count: number): Uint8Array;
}

const words = new Uint32Array(2);

/** The 53 bits of a double's mantissa. */
function fraction(): number {
  const [high = 0, low = 0] = crypto.getRandomValues(words);
  return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
}

export const realRandom: Random = {
  next: fraction,
  uuid: () => crypto.randomUUID(),
  bytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
};

/** No vowels, no look-alikes: generated names spell no words (apimachinery util/rand). */
const NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/** A random suffix as Kubernetes appends it to `generateName`. */
export function nameSuffix(random: Random, length = 5): string {
  let out = "";
  for (let i = 0; i < length; i++) {
    out += NAME_ALPHABET.charAt(Math.floor(random.next() * NAME_ALPHABET.length));
  }
  return out;
}
