/** Puts the cluster's CA into a ConfigMap of every namespace, from where pods trust the API. */
import type { Plan } from "#client/controller.ts";
import { patchAction } from "#controllers/common/patch.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import type { Stored } from "#resources/meta.ts";
import type { ConfigMap, Namespace } from "#resources/types.gen.ts";

export const ROOT_CA = "kube-root-ca.crt";

export interface State {
  namespace: Stored<Namespace>;
  map: Stored<ConfigMap> | undefined;
  /** PEM. */
  certificate: string;
}

const DESCRIPTION = "CA bundle to verify the API server at its addresses inside of the cluster.";

export function plan({ namespace, map, certificate }: State): Plan {
  if (namespace.metadata.deletionTimestamp !== undefined) return { actions: [] };
  const data = { "ca.crt": certificate };
  if (map !== undefined) return { actions: patchAction(configMaps, map, { data }) };
  const object: ConfigMap = {
    metadata: {
      name: ROOT_CA,
      namespace: namespace.metadata.name,
      annotations: { "kubernetes.io/description": DESCRIPTION },
    },
    data,
  };
  return { actions: [{ do: "create", kind: configMaps, object, ignoreExists: true }] };
}
