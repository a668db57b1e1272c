/** A program of its own, so that its memory is not counted: sends and takes large bodies. */
import { createServer } from "node:http";

const CHUNK = Buffer.alloc(64 * 1024, "x");

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(`http://x${request.url}`);
  if (pathname === "/up") {
    let bytes = 0;
    request.on("data", (part: Buffer) => {
      bytes += part.length;
    });
    request.on("end", () => response.end(`got ${bytes}`));
    return;
  }
  let left = Number(searchParams.get("bytes") ?? 0);
  if (pathname === "/length") response.setHeader("content-length", left);
  const send = (): void => {
    while (left > 0) {
      const part = CHUNK.subarray(0, Math.min(left, CHUNK.length));
      left -= part.length;
      if (!response.write(part)) {
        response.once("drain", send);
        return;
      }
    }
    response.end();
  };
  send();
});

server.listen(0, process.argv[2], () => {
  const address = server.address();
  process.stdout.write(String(typeof address === "object" ? address?.port : ""));
});
