/** Nothing is made where there is no namespace, or where it is going away; some namespaces stay. */
import type { Attributes, MakePlugin, Rest } from "#api/admission.ts";
import { peek } from "#api/codec.ts";
import { refuse } from "#api/errors.ts";
import type { Namespace } from "#resources/types.gen.ts";
import type { Item } from "#store/store.ts";

const NAMESPACES = { group: "", plural: "namespaces", kind: "Namespace" };
const keyOf = ({ namespace = "" }: Attributes): string => `core/namespaces/${namespace}`;
const IMMORTAL = new Set(["default", "kube-system", "kube-public"]);

const isOpen = (item: Item): boolean =>
  peek<Namespace>(item).metadata.deletionTimestamp === undefined;

export const namespaceLifecycle: MakePlugin = (core) => {
  /** By what stands there now. */
  async function checkNow(attributes: Attributes): Promise<Rest> {
    const { resource, namespace = "", name } = attributes;
    const seen = await core.store.get(keyOf(attributes));
    if (seen === undefined) throw refuse.notFound(NAMESPACES, namespace);
    if (isOpen(seen)) return { seen, again: () => checkNow(attributes) };
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

  /** The usual case asks no other server: the write is done only where the namespace is as known. */
  function checkCreate(attributes: Attributes): void | Promise<void> {
    const seen = core.store.known(keyOf(attributes));
    if (seen === undefined || attributes.dryRun || !isOpen(seen)) {
      return checkNow(attributes).then((rest) => void attributes.rests.push(rest));
    }
    attributes.rests.push({ seen, again: () => checkNow(attributes) });
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
