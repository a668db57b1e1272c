/**
 * Removes bootstrap tokens that are over (kubernetes.io/docs/reference/access-authn-
 * authz/bootstrap-tokens).
 */
import type { Plan } from "#client/controller.ts";
import { deleteAction } from "#controllers/common/patch.ts";
import { timeMs } from "#controllers/common/time.ts";
import { secrets } from "#resources/kinds/secret.ts";
import type { Stored } from "#resources/meta.ts";
import type { Secret } from "#resources/types.gen.ts";

const TYPE = "bootstrap.kubernetes.io/token";

export function plan(secret: Stored<Secret>, now: number): Plan {
  const text = secret.data?.["expiration"];
  if (secret.type !== TYPE || text === undefined) return { actions: [] };
  const ends = timeMs(atob(text));
  // What is no time at all does not let anybody in for ever.
  if (ends === undefined || ends <= now) return { actions: [deleteAction(secrets, secret)] };
  return { actions: [], againMs: ends - now };
}
