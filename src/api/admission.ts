/** The chain that every write passes: plugins change objects first, then judge them. */
import type { Annotate, Core, UserInfo } from "#api/core.ts";
import type { Resource } from "#api/registry.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import type { Seen } from "#store/store.ts";

export type Operation = "CREATE" | "UPDATE" | "DELETE" | "CONNECT";

/** An object that a decision rests on, as it was seen. */
export interface Rest {
  readonly seen: Seen;
  /** Decides again, by what stands there now. @throws ApiError where the decision is no. */
  again(): Promise<Rest>;
}

export interface Attributes {
  readonly operation: Operation;
  readonly resource: Resource;
  /** "" for the object itself. */
  readonly subresource: string;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly user: UserInfo;
  readonly dryRun: boolean;
  /** What will be; plugins change it in place. Absent for a delete. */
  readonly object: ApiObject | undefined;
  readonly old: Stored | undefined;
  readonly warnings: string[];
  /** Where there is an audit log. */
  readonly annotate?: Annotate;
  /** What was decided by objects as this server knew them. */
  readonly rests: Rest[];
  /** Undo what a plugin reserved, when the write did not come about. */
  readonly undo: Array<() => void>;
}

export interface Plugin {
  readonly name: string;
  /** Runs before the first request is let in; answers how to end. */
  start?(): Promise<() => void>;
  mutate?(attributes: Attributes): void | Promise<void>;
  validate?(attributes: Attributes): void | Promise<void>;
}

export type MakePlugin = (core: Core) => Plugin;

export interface Admission {
  start(): Promise<Array<() => void>>;
  mutate(attributes: Attributes): Promise<void>;
  validate(attributes: Attributes): Promise<void>;
}

/** Plugins that answer at once cost no turn of the event loop. */
export function createAdmission(plugins: readonly Plugin[]): Admission {
  const mutators = plugins.filter((plugin) => plugin.mutate !== undefined);
  const validators = plugins.filter((plugin) => plugin.validate !== undefined);
  return {
    async start() {
      const ends: Array<() => void> = [];
      for (const plugin of plugins) {
        const end = await plugin.start?.();
        if (end !== undefined) ends.push(end);
      }
      return ends;
    },
    async mutate(attributes) {
      for (const plugin of mutators) {
        const pending = plugin.mutate?.(attributes);
        if (pending !== undefined) await pending;
      }
    },
    async validate(attributes) {
      for (const plugin of validators) {
        const pending = plugin.validate?.(attributes);
        if (pending !== undefined) await pending;
      }
    },
  };
}
