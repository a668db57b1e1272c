/** bramble token create|list|delete|rotate-admin */

import { formatToken } from "#agents/join/token.ts";
import { realClock } from "#base/clock.ts";
import { OperatorError, UsageError } from "#base/errors.ts";
import { realRandom } from "#base/random.ts";
import { connect } from "#cli/connect.ts";
import type { CliIo, VerbModule } from "#cli/verb.ts";
import { isNotFound } from "#client/client.ts";
import { secrets } from "#resources/kinds/secret.ts";
import { addFlags, sourcesOf } from "../flags.ts";
import { rotateAdminToken } from "../rotateadmin.ts";
import { loadServerSettings, serverShape } from "../settings.ts";
import { spanMs } from "../span.ts";
import { makeToken } from "../tokens.ts";

interface TokenOptions {
  kubeconfig?: string;
  ttl?: string;
  uses?: string;
  description?: string;
}

/** `24h`, `30m`; `0` is forever. */
function lifeMs(text: string): number | undefined {
  if (text === "0") return undefined;
  const ms = spanMs(text, "smhd");
  if (ms !== undefined) return ms;
  throw new UsageError(`--ttl: "${text}" must be a time such as 24h, or 0`);
}

function usesOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d*$/.test(text))
    throw new UsageError(`--uses: "${text}" must be a number from 1 on`);
  return Number(text);
}

async function create(options: TokenOptions, io: CliIo): Promise<void> {
  const uses = usesOf(options.uses);
  const ttlMs = lifeMs(options.ttl ?? "24h");
  const { client } = connect({ kubeconfig: options.kubeconfig, env: io.env });
  const token = await makeToken(client, realRandom, {
    ...(ttlMs !== undefined && { expiresAtMs: io.now() + ttlMs }),
    ...(uses !== undefined && { uses }),
    ...(options.description !== undefined && { description: options.description }),
  });
  io.out(`${formatToken(token)}\n`);
}

async function list(options: TokenOptions, io: CliIo): Promise<void> {
  const { client } = connect({ kubeconfig: options.kubeconfig, env: io.env });
  const found = await client.list(secrets, {
    namespace: "kube-system",
    fieldSelector: "type=bootstrap.kubernetes.io/token",
  });
  const rows = found.items.map(({ data = {} }) => {
    const text = (key: string) => Buffer.from(data[key] ?? "", "base64").toString();
    const expires = text("expiration") || "never";
    return [text("token-id"), expires, text("bramble-uses") || "any", text("description")];
  });
  for (const row of [["ID", "EXPIRES", "USES", "DESCRIPTION"], ...rows]) {
    const [id = "", expires = "", uses = "", description = ""] = row;
    io.out(`${id.padEnd(8)} ${expires.padEnd(26)} ${uses.padEnd(6)} ${description}`.trimEnd());
    io.out("\n");
  }
}

async function remove(id: string, options: TokenOptions, io: CliIo): Promise<void> {
  const { client } = connect({ kubeconfig: options.kubeconfig, env: io.env });
  try {
    const name = `bootstrap-token-${id}`;
    await client.delete(secrets, { namespace: "kube-system", name });
  } catch (error) {
    if (isNotFound(error)) throw new OperatorError(`there is no token ${id}`);
    throw error;
  }
  io.out(`token ${id} deleted\n`);
}

export const define: VerbModule["define"] = (command, io) => {
  const sub = (name: string, summary: string) =>
    command.command(name).description(summary).option("--kubeconfig <file>", "kubeconfig to use");
  sub("create", "make a token and print it")
    .option("--ttl <time>", "how long it is good for: 24h, 30m; 0 is forever", "24h")
    .option("--uses <count>", "how many devices may join with it (default: any)")
    .option("--description <text>", "what it is for")
    .action((options: TokenOptions) => create(options, io));
  sub("list", "show all tokens").action((options: TokenOptions) => list(options, io));
  sub("delete", "revoke a token")
    .argument("<id>", "its id, the first part of `bramble token list`")
    .action((id: string, options: TokenOptions) => remove(id, options, io));
  const rotation = command
    .command("rotate-admin")
    .description("replace the admin's token; on a server, with the flags that it runs with");
  addFlags(rotation, serverShape);
  rotation.action((options: Record<string, unknown>) =>
    rotateAdminToken({
      settings: loadServerSettings(sourcesOf(options, io.env)),
      env: io.env,
      clock: realClock,
      random: realRandom,
      tell: (line) => io.out(`${line}\n`),
    }),
  );
};
