/** Every namespace has a ServiceAccount named default, for pods that name none. */
import type { Plan } from "#client/controller.ts";
import { serviceAccounts } from "#resources/kinds/serviceaccount.ts";
import type { Stored } from "#resources/meta.ts";
import type { Namespace } from "#resources/types.gen.ts";

export interface State {
  namespace: Stored<Namespace>;
  present: boolean;
}

export function plan({ namespace, present }: State): Plan {
  if (present || namespace.metadata.deletionTimestamp !== undefined) return { actions: [] };
  const object = { metadata: { name: "default", namespace: namespace.metadata.name } };
  return { actions: [{ do: "create", kind: serviceAccounts, object, ignoreExists: true }] };
}
