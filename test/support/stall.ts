/** A way to a server over which nothing goes any more after so many bytes; its ends stay open. */
import { createConnection, createServer, type Socket } from "node:net";

export interface StallingWay {
  readonly url: string;
  /** Resolves when it does not go on. */
  readonly stalled: Promise<void>;
  close(): void;
}

export async function stallingWay(url: string, bytesMax: number): Promise<StallingWay> {
  const target = new URL(url);
  const stalled = Promise.withResolvers<void>();
  const open = new Set<Socket>();
  let bytes = 0;
  const server = createServer((socket) => {
    const inner = createConnection(Number(target.port), target.hostname);
    for (const [from, to] of [
      [socket, inner],
      [inner, socket],
    ] as const) {
      open.add(from);
      from.on("error", () => undefined);
      from.on("close", () => to.destroy());
      from.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > bytesMax) stalled.resolve();
        else to.write(chunk);
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  return {
    url: `http://127.0.0.1:${port}`,
    stalled: stalled.promise,
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}
