/**
 * What a pod's runtime class adds: overhead and where it may run.
 * https://kubernetes.io/docs/concepts/containers/runtime-class/
 */
import type { Attributes, MakePlugin } from "#api/admission.ts";
import { peek } from "#api/codec.ts";
import { refuse } from "#api/errors.ts";
import { sameJson } from "#api/json.ts";
import type { Pod, RuntimeClass } from "#resources/types.gen.ts";

export const runtimeClass: MakePlugin = ({ store }) => {
  async function admit({ object, resource, name }: Attributes): Promise<void> {
    const { spec } = object as Pod;
    if (spec === undefined) return;
    const wanted = spec.runtimeClassName;
    const forbid = (why: string): never => {
      throw refuse.forbidden(resource.kind, name, why);
    };
    const unasked =
      "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead";
    if (!wanted) return spec.overhead === undefined ? undefined : forbid(unasked);
    const item = await store.get(`node.k8s.io/runtimeclasses/${wanted}`);
    if (item === undefined) return forbid(`pod rejected: RuntimeClass "${wanted}" not found`);
    const { overhead, scheduling } = peek<RuntimeClass>(item);
    if (overhead?.podFixed !== undefined) {
      if (spec.overhead !== undefined && !sameJson(spec.overhead, overhead.podFixed)) {
        forbid("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
      }
      spec.overhead = { ...overhead.podFixed };
    } else if (spec.overhead !== undefined) {
      forbid(unasked);
    }
    for (const [key, value] of Object.entries(scheduling?.nodeSelector ?? {})) {
      const before = spec.nodeSelector?.[key];
      if (before !== undefined && before !== value) {
        forbid(
          `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; ` +
            `pod.spec.nodeSelector[${key}] = ${before}`,
        );
      }
      spec.nodeSelector = { ...spec.nodeSelector, [key]: value };
    }
    for (const toleration of scheduling?.tolerations ?? []) {
      if (spec.tolerations?.some((each) => sameJson(each, toleration))) continue;
      spec.tolerations = [...(spec.tolerations ?? []), toleration];
    }
  }
  return {
    name: "RuntimeClass",
    mutate(attributes) {
      const { resource, operation, subresource } = attributes;
      if (resource.bucket !== "core/pods" || operation !== "CREATE" || subresource !== "") return;
      return admit(attributes);
    },
  };
};
