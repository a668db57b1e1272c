/**
 * grpc.health.v1.Health/Check over plain HTTP/2.
 * https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 */
import { connect } from "node:http2";
import { bracketed } from "#agents/kubelet/dial.ts";
import { messageOf } from "#base/errors.ts";

const SERVING = 1;
const STATUS_NAMES = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/** HealthCheckRequest { string service = 1 } in its frame: flag, length, message. */
function requestFrame(service: string): Buffer {
  const name = Buffer.from(service);
  const field = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(field.length, 1);
  return Buffer.concat([head, field]);
}

/** HealthCheckResponse { ServingStatus status = 1 } */
function statusOf(answer: Buffer): number {
  return answer.length >= 7 && answer[5] === 0x08 ? (answer[6] ?? 0) : 0;
}

export function grpcHealth(
  host: string,
  port: number,
  service: string,
  timeoutMs: number,
): Promise<{ ok: boolean; message: string }> {
  const { promise, resolve } = Promise.withResolvers<{ ok: boolean; message: string }>();
  const address = `${bracketed(host)}:${port}`;
  const session = connect(`http://${address}`);
  const fail = (message: string) => resolve({ ok: false, message });
  const timer = setTimeout(
    () => fail(`timeout: health rpc did not complete within ${timeoutMs}ms`),
    timeoutMs,
  );
  session.on("error", (error) =>
    fail(`timeout: failed to connect service "${address}": ${messageOf(error)}`),
  );
  const stream = session.request({
    ":method": "POST",
    ":path": "/grpc.health.v1.Health/Check",
    "content-type": "application/grpc",
    te: "trailers",
    "user-agent": "kube-probe/1.34",
  });
  const chunks: Buffer[] = [];
  let grpcStatus = "0";
  const note = (headers: Record<string, unknown>) => {
    const status = headers["grpc-status"];
    if (status !== undefined) grpcStatus = String(status);
  };
  stream.on("response", note);
  stream.on("trailers", note);
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", (error) => fail(messageOf(error)));
  stream.on("end", () => {
    if (grpcStatus !== "0") return fail(`error: health rpc failed: code = ${grpcStatus}`);
    const status = statusOf(Buffer.concat(chunks));
    const name = STATUS_NAMES[status] ?? "UNKNOWN";
    if (status === SERVING) resolve({ ok: true, message: `service healthy (SERVING)` });
    else fail(`service unhealthy (responded with "${name}")`);
  });
  stream.end(requestFrame(service));
  return promise.finally(() => {
    clearTimeout(timer);
    session.destroy();
  });
}
