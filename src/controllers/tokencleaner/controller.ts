import type { Controller } from "#client/controller.ts";
import { plan } from "#controllers/tokencleaner/plan.ts";
import { secrets } from "#resources/kinds/secret.ts";
import type { Stored } from "#resources/meta.ts";
import type { Secret } from "#resources/types.gen.ts";

/** Only the tokens are watched, no other secret. */
const query = { namespace: "kube-system", fieldSelector: "type=bootstrap.kubernetes.io/token" };

export const tokenCleanerController: Controller<Stored<Secret>> = {
  name: "tokencleaner",
  kind: secrets,
  query,
  triggers: [],
  read: (key, { caches }) => caches.of(secrets, query).get(key),
  plan,
};
