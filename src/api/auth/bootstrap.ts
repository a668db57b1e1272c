/** Bootstrap tokens. https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/ */
import { timingSafeEqual } from "node:crypto";
import type { TokenSource } from "#api/auth/authenticate.ts";
import { peek } from "#api/codec.ts";
import type { Clock } from "#base/clock.ts";
import type { Secret } from "#resources/types.gen.ts";
import type { Store } from "#store/store.ts";

const PATTERN = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const EXTRA_GROUP = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

const equal = (a: string, b: string): boolean =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

export function bootstrapTokens(store: Store, clock: Clock): TokenSource {
  return {
    name: "BootstrapToken",
    async identify(token, audiences) {
      const match = PATTERN.exec(token);
      if (match === null || audiences !== undefined) return undefined;
      const [, id = "", secret = ""] = match;
      const item = await store.get(`core/secrets/kube-system/bootstrap-token-${id}`);
      if (item === undefined) return undefined;
      const { type, data = {}, metadata } = peek<Secret>(item);
      if (type !== "bootstrap.kubernetes.io/token" || metadata.deletionTimestamp !== undefined) {
        return undefined;
      }
      const field = (name: string): string => Buffer.from(data[name] ?? "", "base64").toString();
      if (!equal(field("token-secret"), secret) || field("token-id") !== id) return undefined;
      const expiration = field("expiration");
      if (expiration !== "" && !(Date.parse(expiration) > clock.now())) return undefined;
      if (field("usage-bootstrap-authentication") !== "true") return undefined;
      const extra = field("auth-extra-groups")
        .split(",")
        .filter((group) => EXTRA_GROUP.test(group));
      return {
        user: {
          name: `system:bootstrap:${id}`,
          groups: ["system:bootstrappers", ...extra, "system:authenticated"],
        },
      };
    },
  };
}
