/** Shows this server to devices on the same network. */
import { announce } from "#agents/discovery/agent.ts";
import type { Surroundings } from "./control.ts";
import { version } from "./version.ts";

/** Answers how to take the announcement back. */
export function announceServer(
  service: { nodeName: string; port: number; caSha256: string },
  around: Pick<Surroundings, "clock" | "log">,
): () => Promise<void> {
  return announce({
    name: service.nodeName,
    role: "server",
    port: service.port,
    version,
    caSha256: service.caSha256,
    clock: around.clock,
    log: around.log.part("discovery"),
  });
}
