/**
 * `bramble token rotate-admin`: a new token for the admin in place of the one that is there. It
 * asks the servers until each rejects the old one.
 */
import { existsSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { type Clock, sleep } from "#base/clock.ts";
import { OperatorError } from "#base/errors.ts";
import { readText, writeDurably } from "#base/files.ts";
import { limits } from "#base/limits.ts";
import type { Random } from "#base/random.ts";
import { readAdminToken, replaceAdminToken } from "./admintoken.ts";
import { isShared } from "./datastore.ts";
import { serversIn, withToken } from "./kubeconfig.ts";
import { rotateAdmin } from "./sealed.ts";
import type { ServerSettings } from "./settings.ts";
import { withSharedKeys } from "./sharedkeys.ts";

/** A path that is for who is authenticated, and cheap. */
const ASKED = "/api";

export interface RotateAdminOptions {
  readonly settings: ServerSettings;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly random: Random;
  readonly tell: (line: string) => void;
}

/** Whether the token is good there; undefined where nobody answers. */
async function accepts(
  { server, caPem }: { server: string; caPem: string },
  token: string,
): Promise<boolean | undefined> {
  try {
    const { status } = await fetch(`${server}${ASKED}`, {
      headers: { authorization: `Bearer ${token}`, connection: "close" },
      tls: { ca: caPem },
      signal: AbortSignal.timeout(limits.adminRotationAskMs),
    });
    return status !== 401;
  } catch {
    return undefined;
  }
}

type Found = "done" | "silent" | "accepts the old one";

async function settled(
  each: { server: string; caPem: string },
  tokens: { old: string; now: string },
  clock: Clock,
): Promise<Found> {
  const begin = clock.monotonic();
  const lastedMs = () => clock.monotonic() - begin;
  let found: Found = "silent";
  while (lastedMs() < limits.adminRotationMsMax) {
    // A server on its own looks into its file when it is shown the new one.
    const isNew = await accepts(each, tokens.now);
    const isOld = await accepts(each, tokens.old);
    if (isNew === true && isOld === false) return "done";
    if (isOld === true) found = "accepts the old one";
    if (found === "silent" && lastedMs() > limits.adminRotationAskMs) break;
    await sleep(clock, limits.adminRotationAskMs / 10);
  }
  return found;
}

/** The user's own kubeconfig, where it has the old token. */
function rewriteUserFile(
  { env, settings, tell }: RotateAdminOptions,
  tokens: { old: string; now: string },
): void {
  const named = env["KUBECONFIG"]?.split(":") ?? [];
  for (const path of new Set([...named, join(env["HOME"] ?? "/root", ".kube/config")])) {
    if (path === "" || !existsSync(path)) continue;
    const real = realpathSync(path);
    // The server writes that one.
    if (real === join(realpathSync(settings.dataDir), "kubeconfig")) continue;
    const text = withToken(readText(real) ?? "", tokens.old, tokens.now);
    if (text === undefined) continue;
    writeDurably(real, text);
    tell(`${path} has the new token`);
  }
}

/** @throws OperatorError where a server goes on with the old token. */
export async function rotateAdminToken(options: RotateAdminOptions): Promise<void> {
  const { settings, clock, random, tell } = options;
  const { dataDir } = settings;
  const old = readAdminToken(dataDir) ?? "";
  const servers = serversIn(readText(join(dataDir, "kubeconfig")));
  const now = isShared(settings)
    ? await withSharedKeys(settings, { clock, random }, rotateAdmin)
    : replaceAdminToken(dataDir, random);
  const tokens = { old, now };
  const isSilent: string[] = [];
  const isOld: string[] = [];
  await Promise.all(
    servers.map(async (each) => {
      const found = await settled(each, tokens, clock);
      if (found === "done") tell(`${each.server} accepts the new token only`);
      else (found === "silent" ? isSilent : isOld).push(each.server);
    }),
  );
  rewriteUserFile(options, tokens);
  for (const server of isSilent) {
    tell(`${server} does not answer: it takes the new token when it starts`);
  }
  tell(`the new token is in ${dataDir}/admin-token and kubeconfig; other copies need it too`);
  if (isOld.length > 0) {
    throw new OperatorError(`still accept the old token: ${isOld.join(", ")}`, {
      hint: "start these servers again, with the version of this program",
    });
  }
}
