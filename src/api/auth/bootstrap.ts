/** Bootstrap tokens. https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/ */
import type { TokenSource } from "#api/auth/authenticate.ts";
import { peek } from "#api/codec.ts";
import type { Clock } from "#base/clock.ts";
import {
  isExpired,
  isToken,
  tokenField,
  tokenParts,
  tokenSecretName,
  usesLeft,
} from "#resources/bootstraptoken.ts";
import type { Secret } from "#resources/types.gen.ts";
import type { Store } from "#store/store.ts";

const EXTRA_GROUP = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

export function bootstrapTokens(store: Store, clock: Clock): TokenSource {
  return {
    name: "BootstrapToken",
    async identify(token) {
      const parts = tokenParts(token);
      if (parts === undefined) return undefined;
      const item = await store.get(`core/secrets/kube-system/${tokenSecretName(parts.id)}`);
      if (item === undefined) return undefined;
      const stored = peek<Secret>(item);
      if (!isToken(stored, parts) || isExpired(stored, clock.now())) return undefined;
      if (usesLeft(stored) === 0) return undefined;
      const extra = tokenField(stored, "auth-extra-groups")
        .split(",")
        .filter((group) => EXTRA_GROUP.test(group));
      return {
        user: {
          name: `system:bootstrap:${parts.id}`,
          groups: ["system:bootstrappers", ...extra, "system:authenticated"],
        },
      };
    },
  };
}
