/** Carries out the actions of a plan through the Client, in order; like ones side by side. */
import { limits } from "#base/limits.ts";
import { type Client, isConflict, isNotFound, StatusError } from "#client/client.ts";
import type { Action } from "#client/controller.ts";
import type { Recorder } from "#client/events.ts";
import type { Kind } from "#resources/kind.ts";
import { type ApiObject, keyOf, type Ref, refKey, type Stored } from "#resources/meta.ts";

/**
 * What a cache must show before the next plan: the written object, or that the deleted one goes.
 */
export interface Written {
  readonly kind: Kind;
  readonly key: string;
  /** After a create, update or patch. */
  readonly resourceVersion?: string;
  /** After a delete: this one must be gone or going. */
  readonly deletedUid?: string;
}

export interface ApplyOptions {
  recorder: Recorder;
  onWritten?: (written: Written) => void;
  /** It is not known whether this was created: the answer was lost, or the server fell over. */
  onDoubt?: (kind: Kind, ref: Ref) => void;
  /** After it nothing more is begun: another server may lead by then. */
  signal?: AbortSignal;
}

/** The API's refusal of one action. */
export class ActionError extends Error {
  override name = "ActionError";
  readonly action: Action;
  readonly status: StatusError;
  constructor(action: Action, status: StatusError) {
    super(`${describe(action)}: ${status.message}`, { cause: status });
    this.action = action;
    this.status = status;
  }
}

function describe(action: Action): string {
  if (action.do === "event") return `event ${action.reason}`;
  if (action.do === "deleteAll") return `delete all ${action.kind.plural} of ${action.namespace}`;
  const ref = "ref" in action ? action.ref : action.object.metadata;
  const name = ref?.name ?? ("object" in action ? action.object.metadata?.generateName : "");
  const key = refKey({ namespace: ref?.namespace, name: name ?? "" });
  return `${action.do} ${action.kind.plural} ${key}`;
}

const isCreateConflict = (error: unknown): boolean =>
  isConflict(error) && error instanceof StatusError && error.reason === "AlreadyExists";

/** A refusal is clear; anything else may have come after the object was made. */
function doubt(kind: Kind, object: ApiObject, error: unknown, options: ApplyOptions): void {
  const isClear = error instanceof StatusError && error.code < 500;
  const { name, namespace } = object.metadata ?? {};
  if (isClear || !name) return;
  options.onDoubt?.(kind, namespace ? { namespace, name } : { name });
}

async function write(client: Client, action: Action, options: ApplyOptions): Promise<void> {
  const wrote = (kind: Kind, object: Stored): void => {
    // The answer of a binding or an eviction is a Status: there is nothing to wait for.
    const resourceVersion = object.metadata?.resourceVersion;
    if (!resourceVersion || !object.metadata.name) return;
    options.onWritten?.({ kind, key: keyOf(object), resourceVersion });
  };
  switch (action.do) {
    case "create":
      try {
        wrote(
          action.kind,
          await client.create<ApiObject>(action.kind, action.object, action.options),
        );
      } catch (error) {
        if (action.ignoreExists && isCreateConflict(error)) return;
        doubt(action.kind, action.object, error, options);
        throw error;
      }
      return;
    case "update":
      wrote(
        action.kind,
        await client.update<ApiObject>(action.kind, action.object, action.options),
      );
      return;
    case "patch": {
      const { kind, ref, type, body } = action;
      wrote(kind, await client.patch<ApiObject>(kind, ref, type, body, action.options));
      return;
    }
    case "delete":
      try {
        await client.delete(action.kind, action.ref, action.options);
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      if (action.options?.uid === undefined) return;
      options.onWritten?.({
        kind: action.kind,
        key: refKey(action.ref),
        deletedUid: action.options.uid,
      });
      return;
    case "deleteAll":
      await client.deleteAll(action.kind, { namespace: action.namespace }, action.options);
      return;
    case "post":
      await client.post(action.kind, action.ref, action.subresource, action.body);
      return;
    case "event":
      options.recorder.record(action);
  }
}

const sameSort = (a: Action, b: Action): boolean =>
  a.do === b.do && (a.do === "create" || a.do === "delete") && "kind" in b && a.kind === b.kind;

/**
 * Applies in order. A run of creates, or of deletes, of one kind goes out in batches of 1, 2, 4, …
 * at once: where the first one is refused (a quota, a webhook) the others are not tried.
 * @throws ActionError for the first refusal; what threw otherwise (network) as it came.
 */
export async function applyActions(
  client: Client,
  actions: readonly Action[],
  options: ApplyOptions,
): Promise<void> {
  const one = async (action: Action): Promise<void> => {
    try {
      await write(client, action, options);
    } catch (error) {
      throw error instanceof StatusError ? new ActionError(action, error) : error;
    }
  };
  let width = 1;
  for (let from = 0; from < actions.length; ) {
    const first = actions[from];
    if (first === undefined || options.signal?.aborted) return;
    let to = from + 1;
    for (let next = actions[to]; to < from + width && next !== undefined; next = actions[to]) {
      if (!sameSort(first, next)) break;
      to++;
    }
    const results = await Promise.allSettled(actions.slice(from, to).map(one));
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    const next = actions[to];
    width =
      next !== undefined && sameSort(first, next)
        ? Math.min(limits.controllerWritesMax, width * 2)
        : 1;
    from = to;
  }
}
