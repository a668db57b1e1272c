/**
 * Secrets that ask for a token of a service account get one, which dies with the Secret.
 * https://kubernetes.io/docs/concepts/configuration/secret/#serviceaccount-token-secrets
 */
import type { Attributes, MakePlugin } from "#api/admission.ts";
import { type Binding, userNameOf } from "#api/auth/serviceaccounts.ts";
import { peek } from "#api/codec.ts";
import { metadataOf } from "#api/meta.ts";
import type { Secret, ServiceAccount } from "#resources/types.gen.ts";

const TYPE = "kubernetes.io/service-account-token";
const NAME = "kubernetes.io/service-account.name";
const UID = "kubernetes.io/service-account.uid";

const base64 = (text: string): string => Buffer.from(text).toString("base64");

export const tokenSecrets: MakePlugin = ({ store, settings, signer, clock }) => {
  async function fill({ object, namespace = "" }: Attributes): Promise<void> {
    const secret = object as Secret;
    const metadata = metadataOf(secret);
    const account = metadata.annotations?.[NAME] ?? "";
    const item = await store.get(`core/serviceaccounts/${namespace}/${account}`);
    if (item === undefined || secret.data?.["token"] !== undefined) return;
    const { uid } = peek<ServiceAccount>(item).metadata;
    const binding: Binding = {
      namespace,
      serviceaccount: { name: account, uid },
      secret: { name: metadata.name ?? "", ...(metadata.uid && { uid: metadata.uid }) },
    };
    const token = await signer.sign({
      iss: settings.issuer,
      sub: userNameOf(namespace, account),
      aud: [...settings.audiences],
      iat: Math.floor(clock.now() / 1000),
      "kubernetes.io": binding,
    });
    metadata.annotations = { ...metadata.annotations, [UID]: uid };
    secret.data = {
      ...secret.data,
      token: base64(token),
      namespace: base64(namespace),
      ...(settings.caPem !== undefined && { "ca.crt": base64(settings.caPem) }),
    };
  }

  return {
    name: "TokenSecrets",
    mutate(attributes) {
      const { resource, operation, subresource, object } = attributes;
      if (resource.bucket !== "core/secrets" || subresource !== "") return;
      if (operation !== "CREATE" && operation !== "UPDATE") return;
      return (object as Secret).type === TYPE ? fill(attributes) : undefined;
    },
  };
};
