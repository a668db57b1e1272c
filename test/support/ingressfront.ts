/** The Ingress on a port of its own, before one backend; nothing but the proxy itself. */
import { connect } from "node:net";
import { listenPlain } from "#agents/ingress/listen.ts";
import { type Served, Serving } from "#agents/ingress/serving.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { ingress, slice, tableOf, to } from "#test/support/ingress.ts";
import { OWN_ADDRESS } from "#test/support/ownaddress.ts";

export interface Front {
  readonly port: number;
  /** Every request that is over. */
  readonly served: Served[];
  /** From now on requests go to this port. */
  behind(port: number): void;
  close(): Promise<void>;
}

export async function startFront(): Promise<Front> {
  const served: Served[] = [];
  const serving = new Serving({ clock: realClock, onServed: (one) => served.push(one) });
  const listening = await listenPlain({ serving, host: "127.0.0.1", port: 0, log: silentLog });
  return {
    port: listening.port,
    served,
    behind(port) {
      const web = { ...slice("web", [OWN_ADDRESS]), ports: [{ name: "http", port }] };
      const rules = [ingress("web", { defaultBackend: to("web") })];
      serving.follow(tableOf(rules, { slices: { web } }));
    },
    async close() {
      listening.close();
      await serving.stop(0);
    },
  };
}

/** What comes back on one connection until it is closed; one character a byte. */
export function talk(port: number, text: string, deadlineMs = 10_000): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  const late = setTimeout(() => socket.destroy(), deadlineMs);
  socket.on("connect", () => socket.write(text, "latin1"));
  socket.on("data", (chunk) => {
    answer += chunk.toString("latin1");
  });
  return new Promise((resolve) => {
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      clearTimeout(late);
      resolve(answer);
    });
  });
}
