/**
 * Runs in a client's namespace. `http URL COUNT PARALLEL` or `udp ADDRESS PORT COUNT
 * [SOURCE-PORT]`: prints how often each answer came, as JSON; what failed counts under the error's
 * name. `hold ADDRESS PORT`: a request of HTTP without an end, until the connection ends.
 */
const [kind = "", target = "", ...rest] = process.argv.slice(2);
const counts: Record<string, number> = {};
const count = (answer: string) => {
  counts[answer] = (counts[answer] ?? 0) + 1;
};

async function http(url: string): Promise<string> {
  try {
    const response = await fetch(url, { keepalive: false, signal: AbortSignal.timeout(8_000) });
    return await response.text();
  } catch (error) {
    const { code, name } = error as { code?: unknown; name: string };
    return typeof code === "string" ? code : name;
  }
}

async function udp(address: string, port: number, times: number, from: number): Promise<void> {
  let answered: (name: string) => void = () => {};
  const socket = await Bun.udpSocket({
    port: from,
    hostname: "0.0.0.0",
    socket: {
      data: (_socket, data) => answered(data.toString()),
      error: (_socket, error) => answered((error as { code?: string }).code ?? error.name),
    },
  });
  for (let i = 0; i < times; i++) {
    const answer = new Promise<string>((resolve) => {
      answered = resolve;
      setTimeout(() => resolve("timeout"), 8_000);
    });
    socket.send("hello", port, address);
    count(await answer);
  }
  socket.close();
}

async function hold(hostname: string, port: number): Promise<void> {
  const over = Promise.withResolvers<void>();
  const end = () => over.resolve();
  const socket = await Bun.connect({
    hostname,
    port,
    socket: { data: () => {}, close: end, error: end },
  });
  socket.write("GET / HTTP/1.1\r\nX: ");
  process.stdout.write("open\n");
  const more = setInterval(() => socket.write("x"), 100);
  await over.promise;
  clearInterval(more);
}

if (kind === "http") {
  let left = Number(rest[0]);
  const worker = async () => {
    while (left-- > 0) count(await http(target));
  };
  await Promise.all(Array.from({ length: Number(rest[1] ?? 1) }, worker));
} else if (kind === "hold") {
  await hold(target, Number(rest[0]));
} else {
  await udp(target, Number(rest[0]), Number(rest[1]), Number(rest[2] ?? 0));
}
process.stdout.write(JSON.stringify(counts));
process.exit(0);

export {};
