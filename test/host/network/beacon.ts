/**
 * Runs on a node. `announce NAME` until it is told to end; `browse MS`: a line of JSON when
 * it begins, and for each thing heard; `ask NAME`: one question as a plain resolver sends it, from
 * a port of its own.
 */
import { decode, encode } from "dns-packet";
import { announce, browse } from "#agents/discovery/agent.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";

const [what, argument = ""] = process.argv.slice(2);
const around = { clock: realClock, log: silentLog };

if (what === "announce") {
  const facts = { name: argument, role: "server" as const, port: 6443, version: "1" };
  const stop = announce({ ...facts, caSha256: "abc", cluster: "def", ...around });
  process.on("SIGTERM", async () => {
    await stop();
    process.exit(0);
  });
} else if (what === "ask") {
  const question = { type: "PTR" as const, name: argument };
  const socket = await Bun.udpSocket({
    socket: {
      data: (_socket, data) => {
        const { id, answers } = decode(Buffer.from(data));
        process.stdout.write(JSON.stringify({ id, answers }));
        process.exit(0);
      },
    },
  });
  socket.send(encode({ type: "query", id: 77, questions: [question] }), 5353, "224.0.0.251");
} else {
  const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
  say({ browses: true });
  await browse({
    ...around,
    timeoutMs: Number(argument),
    onFound: ({ name, instance: _, ...facts }) => say({ found: name, ...facts }),
    onLost: (lost) => say({ lost }),
  });
  process.exit(0);
}
