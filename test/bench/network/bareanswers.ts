/**
 * Answers each DNS query with itself, and does nothing else: what any program takes beside the same
 * load. Prints its port of loopback; ends with its standard input.
 */
const IS_ANSWER = 0x80;
const FLAGS_AT = 2;

const { port } = await Bun.udpSocket({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    data(socket, message, fromPort, fromAddress) {
      message[FLAGS_AT] = (message[FLAGS_AT] ?? 0) | IS_ANSWER;
      socket.send(message, fromPort, fromAddress);
    },
  },
});
process.stdout.write(`${port}\n`);
for await (const _ of Bun.stdin.stream());
process.exit(0);

export {};
