/** How long a pod stays on a node that is not ready or cannot be reached. */
import type { MakePlugin } from "#api/admission.ts";
import type { Pod } from "#resources/types.gen.ts";

const TAINTS = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
const EFFECT = "NoExecute";

export const defaultTolerationSeconds: MakePlugin = ({ settings }) => ({
  name: "DefaultTolerationSeconds",
  mutate({ resource, operation, subresource, object }) {
    if (resource.bucket !== "core/pods" || subresource !== "" || operation === "DELETE") return;
    const { spec } = object as Pod;
    if (spec === undefined) return;
    for (const key of TAINTS) {
      const tolerated = (spec.tolerations ?? []).some(
        (each) => (!each.key || each.key === key) && (!each.effect || each.effect === EFFECT),
      );
      if (tolerated) continue;
      spec.tolerations = [
        ...(spec.tolerations ?? []),
        {
          key,
          operator: "Exists",
          effect: EFFECT,
          tolerationSeconds: settings.tolerationSeconds,
        },
      ];
    }
  },
});
