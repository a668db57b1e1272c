/** A plain name server that gives every name the same address: what DNS forwards to. */
import { decode, encode } from "dns-packet";

export const UPSTREAM_ADDRESS = "198.51.100.7";

/** Over UDP, until it is closed; a port that is free where none is given. */
export const startNameUpstream = (hostname: string, port = 0) =>
  Bun.udpSocket({
    hostname,
    port,
    socket: {
      data: (socket, message, from, address) => {
        const { id = 0, questions = [] } = decode(Buffer.from(message));
        const name = questions[0]?.name ?? "";
        const answers = [{ type: "A" as const, name, ttl: 60, data: UPSTREAM_ADDRESS }];
        socket.send(encode({ type: "response", id, questions, answers }), from, address);
      },
    },
  });
