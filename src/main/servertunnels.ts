/**
 * The node of a server has its tunnels too: a client that asks one of the other servers gets the
 * logs of pods here. It shows itself with a key of its own, as every node does.
 */
import { join } from "node:path";
import { registerOwnNode } from "#agents/join/admit.ts";
import type { Credentials } from "#agents/join/credentials.ts";
import { type NodeIdentity, openIdentity } from "#agents/join/identity.ts";
import { dialTunnel } from "#agents/tunnel/dial.ts";
import { openFleet } from "#agents/tunnel/fleet.ts";
import type { NodeLink } from "#api/nodes.ts";
import { messageOf } from "#base/errors.ts";
import type { ControlPlane } from "./control.ts";
import { followPublished } from "./published.ts";

interface OwnNode {
  control: Pick<ControlPlane, "caches" | "client" | "pki" | "around">;
  nodeName: string;
}

/** By tokens; the key is registered first, and again when a token was refused. */
function ownCredentials({ control, nodeName }: OwnNode, identity: NodeIdentity): Credentials {
  const { client, pki, around } = control;
  const { publicKey } = identity;
  let registered = false;
  return {
    async current() {
      try {
        if (!registered) await registerOwnNode(client, { nodeName, publicKey });
        registered = true;
      } catch (error) {
        around.log.debug("the own node's key is not told", { error: messageOf(error) });
      }
      const refused = () => {
        registered = false;
        return true;
      };
      const headers = { authorization: `Bearer ${await identity.token()}` };
      return { headers, tls: { ca: pki.caPem }, refused };
    },
  };
}

/** Until the process ends. */
export async function dialOthers(
  options: OwnNode & {
    dataDir: string;
    /** This server's own URL: it needs no tunnel. */
    own: () => string;
    handler: NodeLink;
  },
): Promise<void> {
  const { control, nodeName, own, handler } = options;
  const { clock, log, signal } = control.around;
  const identity = await openIdentity({ dir: join(options.dataDir, "node"), nodeName, clock });
  let published: readonly string[] = [];
  const tunnels = openFleet({
    ...{ handler, clock, log, signal, dial: dialTunnel },
    credentials: ownCredentials(options, identity),
    targets: () => published.filter((url) => url !== own()),
    onDoubt: () => {},
  });
  followPublished(control.caches, (urls) => {
    published = urls;
    tunnels.look();
  });
}
