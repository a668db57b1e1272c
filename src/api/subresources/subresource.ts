/**
 * What a subresource is: a name, whose it is, and who answers. A new one is a file and a line in
 * `all.ts`.
 */
import type { Call, Core } from "#api/core.ts";
import type { Resource } from "#api/registry.ts";

export interface Subresource {
  readonly name: string;
  /** Whether this resource has it. */
  of(resource: Resource): boolean;
  /** The kind that discovery shows; absent: the resource's own. */
  readonly kind?: { readonly group: string; readonly version: string; readonly kind: string };
  readonly verbs: readonly string[];
  serve(core: Core, call: Call): Promise<Response>;
}
