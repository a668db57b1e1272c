/**
 * Runs in a pod's namespace: answers its name over HTTP and UDP on 8080, with the client's address.
 */
const [, , name = "", hostname = "0.0.0.0"] = process.argv;

Bun.serve({
  port: 8080,
  hostname,
  fetch: (request, server) => {
    const from = server.requestIP(request)?.address ?? "";
    return new Response(`${name} ${from}`, { headers: { connection: "close" } });
  },
});
await Bun.udpSocket({
  port: 8080,
  hostname,
  socket: {
    data: (socket, _data, port, address) => {
      socket.send(name, port, address);
    },
  },
});
process.stdout.write("ready\n");

export {};
