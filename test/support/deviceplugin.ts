/** A device plugin that is played by this process, on the sockets that a real one has. */
import { existsSync } from "node:fs";
import { createServer, type ServerHttp2Stream } from "node:http2";
import { createGrpc } from "#base/grpc.ts";
import { Fields, Writer } from "#base/proto.ts";
import { eventually } from "#test/support/instance.ts";

export interface PlayedPlugin {
  /** Which devices there are now, and whether they are well. */
  tell(devices: Readonly<Record<string, boolean>>): void;
  /** Ids that were asked for, a line each. */
  readonly asked: string[];
  close(): void;
}

const frame = (message: Uint8Array): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
};

const devicesMessage = (devices: Readonly<Record<string, boolean>>): Uint8Array => {
  const out = new Writer();
  for (const [id, well] of Object.entries(devices)) {
    out.bytes(
      1,
      new Writer()
        .text(1, id)
        .text(2, well ? "Healthy" : "Unhealthy")
        .done(),
    );
  }
  return out.done();
};

/** /dev/null by another name, a variable and a mount for whoever gets a device. */
function grantMessage(ids: string, file: string): Uint8Array {
  const grant = new Writer()
    .map(1, { DEVICE_IDS: ids })
    .bytes(2, new Writer().text(1, "/plugged").text(2, file).bool(3, true).done())
    .bytes(3, new Writer().text(1, "/dev/thing").text(2, "/dev/null").text(3, "rw").done());
  return new Writer().bytes(1, grant.done()).done();
}

/** `file`: what is mounted at /plugged. */
export async function playPlugin(dir: string, endpoint: string, file: string) {
  // The kubelet clears the folder before it listens.
  await eventually("the kubelet's socket", 60_000, async () => existsSync(`${dir}/kubelet.sock`));
  const asked: string[] = [];
  const lists = new Set<ServerHttp2Stream>();
  let devices: Readonly<Record<string, boolean>> = {};
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    const chunks: Buffer[] = [];
    const open = () =>
      stream.respond(
        { ":status": 200, "content-type": "application/grpc" },
        { waitForTrailers: true },
      );
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.on("error", () => {});
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      open();
      if (String(headers[":path"]).endsWith("/ListAndWatch")) {
        lists.add(stream);
        stream.write(frame(devicesMessage(devices)));
        return;
      }
      const request = new Fields(Buffer.concat(chunks).subarray(5)).message(1);
      const ids = (request?.all(1) ?? []).map((id) => Buffer.from(id).toString()).join(" ");
      asked.push(ids);
      stream.end(frame(grantMessage(ids, file)));
    });
  });
  await new Promise<void>((done) => server.listen(`${dir}/${endpoint}`, done));
  const played: PlayedPlugin = {
    asked,
    tell(now) {
      devices = now;
      for (const list of lists) list.write(frame(devicesMessage(now)));
    },
    close() {
      for (const list of lists) list.destroy();
      server.close();
    },
  };
  return played;
}

/** @throws GrpcError with the kubelet's words where it refuses. */
export async function registerPlugin(dir: string, endpoint: string, resource: string) {
  const grpc = createGrpc({
    endpoint: { unix: `${dir}/kubelet.sock` },
    connectMsMax: 30_000,
    metadata: {},
  });
  const request = new Writer().text(1, "v1beta1").text(2, endpoint).text(3, resource);
  try {
    const options = { timeoutMs: 30_000 };
    await grpc.unary("v1beta1.Registration/Register", request.done(), options);
  } finally {
    grpc.close();
  }
}
