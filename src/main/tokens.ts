/** Tokens to join with, made on the operator's side of the API. */
import { X509Certificate } from "node:crypto";
import { storeToken } from "#agents/join/admit.ts";
import { CA_PATH } from "#agents/join/join.ts";
import { type JoinToken, newToken } from "#agents/join/token.ts";
import { OperatorError } from "#base/errors.ts";
import type { Random } from "#base/random.ts";
import type { Client } from "#client/client.ts";

/** A new token, known to the server and bound to its CA. */
export async function makeToken(
  client: Client,
  random: Random,
  options: Parameters<typeof storeToken>[2],
): Promise<JoinToken> {
  const answer = await client.fetch(new Request(`http://api${CA_PATH}`));
  if (!answer.ok) throw new OperatorError("the server is not a bramble server");
  const ca = new X509Certificate(await answer.text());
  const token = newToken(ca.fingerprint256.replaceAll(":", "").toLowerCase(), random);
  await storeToken(client, token, options);
  return token;
}
