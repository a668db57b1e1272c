/**
 * Calls between two threads: each side offers functions and asks for those of the other one.
 * Arguments and results are copied; of an error only the message comes across.
 */
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";

/** Functions by name, with what can be copied. */
export type Offers<T> = { [Name in keyof T]: (...args: never[]) => Promise<unknown> };

export type Message =
  | { is: "call"; id: number; name: string; args: readonly unknown[] }
  | { is: "result"; id: number; value?: unknown; error?: string };

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
}

export class Calls<Theirs extends Offers<Theirs>> {
  readonly #post: (message: Message) => void;
  readonly #ours: Readonly<Record<string, (...args: never[]) => Promise<unknown>>>;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;
  #ended: string | undefined;

  constructor(
    post: (message: Message) => void,
    ours: Readonly<Record<string, (...args: never[]) => Promise<unknown>>>,
  ) {
    this.#post = post;
    this.#ours = ours;
  }

  /** @throws Error with the other side's message; or it is gone, or too much is asked of it. */
  ask<Name extends keyof Theirs & string>(
    name: Name,
    ...args: Parameters<Theirs[Name]>
  ): ReturnType<Theirs[Name]> {
    const asked = new Promise<unknown>((resolve, reject) => {
      if (this.#ended !== undefined) throw new Error(this.#ended);
      if (this.#waiting.size >= limits.threadCallsMax) throw new Error("too many calls under way");
      const id = ++this.#last;
      this.#waiting.set(id, { resolve, reject });
      this.#post({ is: "call", id, name, args });
    });
    return asked as ReturnType<Theirs[Name]>;
  }

  take(message: Message): void {
    if (message.is === "call") {
      void this.#answer(message);
      return;
    }
    const one = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.error === undefined) one?.resolve(message.value);
    else one?.reject(new Error(message.error));
  }

  /** The other side is gone: nobody waits for it. */
  end(reason: string): void {
    this.#ended = reason;
    for (const { reject } of this.#waiting.values()) reject(new Error(reason));
    this.#waiting.clear();
  }

  async #answer({ id, name, args }: Message & { is: "call" }): Promise<void> {
    try {
      const offer = this.#ours[name];
      if (offer === undefined) throw new Error(`nobody offers ${name}`);
      const value = await offer(...(args as never[]));
      if (this.#ended === undefined) this.#post({ is: "result", id, value });
    } catch (error) {
      if (this.#ended === undefined) this.#post({ is: "result", id, error: messageOf(error) });
    }
  }
}
