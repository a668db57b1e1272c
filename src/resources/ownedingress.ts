/** Which Ingresses this cluster's nodes serve themselves; agreed between nodes and controllers. */
import type { Stored } from "#resources/meta.ts";
import type { Ingress, IngressClass } from "#resources/types.gen.ts";

/** `spec.controller` of our IngressClass. */
export const INGRESS_CONTROLLER = "bramble.dev/ingress";
/** Name of the IngressClass that is there from the start. */
export const INGRESS_CLASS = "bramble";
export const DEFAULT_INGRESS_CLASS = "ingressclass.kubernetes.io/is-default-class";
/** Annotation of a Node: the ports on which it serves Ingresses now, `80,443`. */
export const INGRESS_PORTS = "bramble.dev/ingress-ports";
/** Of the time before IngressClass, and still much in use. */
const CLASS_ANNOTATION = "kubernetes.io/ingress.class";

export function isOwnedIngress(
  { spec, metadata }: Stored<Ingress>,
  classes: ReadonlyArray<Stored<IngressClass>>,
): boolean {
  const name = spec?.ingressClassName ?? metadata.annotations?.[CLASS_ANNOTATION];
  return classes.some((one) => {
    if (one.spec?.controller !== INGRESS_CONTROLLER) return false;
    if (name !== undefined) return one.metadata.name === name;
    return one.metadata.annotations?.[DEFAULT_INGRESS_CLASS] === "true";
  });
}
