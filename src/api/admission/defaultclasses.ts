/** Claims and Ingresses that name no class get the default one, where there is one. */
import type { Attributes, MakePlugin } from "#api/admission.ts";
import { peek } from "#api/codec.ts";
import { refuse } from "#api/errors.ts";
import type { Stored } from "#resources/meta.ts";
import type { Ingress, PersistentVolumeClaim } from "#resources/types.gen.ts";

const STORAGE = "storageclass.kubernetes.io/is-default-class";
const STORAGE_BETA = "storageclass.beta.kubernetes.io/is-default-class";
const CLAIM_ANNOTATION = "volume.beta.kubernetes.io/storage-class";
const INGRESS = "ingressclass.kubernetes.io/is-default-class";
const INGRESS_ANNOTATION = "kubernetes.io/ingress.class";

/** Keeps a claim or volume that is in use from vanishing. */
const PROTECTION: Record<string, string> = {
  "core/persistentvolumeclaims": "kubernetes.io/pvc-protection",
  "core/persistentvolumes": "kubernetes.io/pv-protection",
  "storage.k8s.io/volumeattributesclasses": "kubernetes.io/vac-protection",
};

export const defaultClasses: MakePlugin = ({ store }) => {
  async function defaults(prefix: string, annotations: readonly string[]): Promise<Stored[]> {
    const page = await store.list({ prefix });
    return page.items
      .map((item) => peek(item))
      .filter(({ metadata }) => annotations.some((key) => metadata.annotations?.[key] === "true"));
  }

  async function claim(object: PersistentVolumeClaim): Promise<void> {
    if (object.spec?.storageClassName !== undefined) return;
    if (object.metadata?.annotations?.[CLAIM_ANNOTATION] !== undefined) return;
    const found = await defaults("storage.k8s.io/storageclasses/", [STORAGE, STORAGE_BETA]);
    // Of several the newest counts; of equally old ones the first by name.
    found.sort(
      (a, b) =>
        Date.parse(b.metadata.creationTimestamp) - Date.parse(a.metadata.creationTimestamp) ||
        (a.metadata.name < b.metadata.name ? -1 : 1),
    );
    const name = found[0]?.metadata.name;
    if (name !== undefined && object.spec !== undefined) object.spec.storageClassName = name;
  }

  async function ingress(attributes: Attributes, object: Ingress): Promise<void> {
    if (object.spec?.ingressClassName !== undefined) return;
    if (object.metadata?.annotations?.[INGRESS_ANNOTATION] !== undefined) return;
    const found = await defaults("networking.k8s.io/ingressclasses/", [INGRESS]);
    if (found.length > 1) {
      const why = `${found.length} default IngressClasses were found, only 1 allowed`;
      throw refuse.forbidden(attributes.resource.kind, attributes.name, why);
    }
    const name = found[0]?.metadata.name;
    if (name !== undefined && object.spec !== undefined) object.spec.ingressClassName = name;
  }

  return {
    name: "DefaultClasses",
    mutate(attributes): void | Promise<void> {
      const { resource, operation, subresource, object } = attributes;
      if (operation !== "CREATE" || subresource !== "" || object === undefined) return;
      const finalizer = PROTECTION[resource.bucket];
      if (finalizer !== undefined) {
        object.metadata ??= {};
        const finalizers = object.metadata.finalizers ?? [];
        if (!finalizers.includes(finalizer))
          object.metadata.finalizers = [...finalizers, finalizer];
      }
      if (resource.bucket === "core/persistentvolumeclaims") {
        return claim(object as PersistentVolumeClaim);
      }
      if (resource.bucket !== "networking.k8s.io/ingresses") return;
      return ingress(attributes, object as Ingress);
    },
  };
};
