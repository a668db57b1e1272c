/** Nothing is made where there is no namespace, or where it is going away; some namespaces stay. */
import type { Attributes, MakePlugin } from "#api/admission.ts";
import { peek } from "#api/codec.ts";
import { refuse } from "#api/errors.ts";
import type { Namespace } from "#resources/types.gen.ts";

const NAMESPACES = { group: "", plural: "namespaces", kind: "Namespace" };
const IMMORTAL = new Set(["default", "kube-system", "kube-public"]);

export const namespaceLifecycle: MakePlugin = (core) => {
  async function checkCreate({ resource, namespace = "", name }: Attributes): Promise<void> {
    const item = await core.store.get(`core/namespaces/${namespace}`);
    if (item === undefined) throw refuse.notFound(NAMESPACES, namespace);
    const { metadata } = peek<Namespace>(item);
    if (metadata.deletionTimestamp === undefined) return;
    const cannot = `unable to create new content in namespace ${namespace}`;
    const why = `${cannot} because it is being terminated`;
    throw refuse.forbidden(resource.kind, name, why, [
      {
        reason: "NamespaceTerminating",
        message: `namespace ${namespace} is being terminated`,
        field: "metadata.namespace",
      },
    ]);
  }
  return {
    name: "NamespaceLifecycle",
    mutate(attributes) {
      const { operation, namespace, subresource } = attributes;
      if (operation !== "CREATE" || namespace === undefined || subresource !== "") return;
      return checkCreate(attributes);
    },
    validate(attributes) {
      const { operation, resource, name } = attributes;
      if (operation !== "DELETE" || resource.bucket !== "core/namespaces") return;
      if (IMMORTAL.has(name)) {
        throw refuse.forbidden(resource.kind, name, "this namespace may not be deleted");
      }
    },
  };
};
