/** The IngressClass that Ingresses get where nobody says otherwise. */
import { type Client, isConflict } from "#client/client.ts";
import { ingressClasses } from "#resources/kinds/ingressclass.ts";
import {
  DEFAULT_INGRESS_CLASS,
  INGRESS_CLASS,
  INGRESS_CONTROLLER,
} from "#resources/ownedingress.ts";

/** Makes it where it is missing; what an operator changed stays. */
export async function ensureIngressClass(client: Client): Promise<void> {
  if ((await client.get(ingressClasses, { name: INGRESS_CLASS })) !== undefined) return;
  try {
    await client.create(ingressClasses, {
      metadata: { name: INGRESS_CLASS, annotations: { [DEFAULT_INGRESS_CLASS]: "true" } },
      spec: { controller: INGRESS_CONTROLLER },
    });
  } catch (error) {
    if (!isConflict(error)) throw error;
  }
}
