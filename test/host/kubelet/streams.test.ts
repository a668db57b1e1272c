/** Logs, exec, forwarded ports and figures through the node's own API. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import type { Channel } from "#base/channel.ts";
import {
  eventually,
  type HostKubelet,
  shell,
  startHostKubelet,
  WAIT,
} from "#test/support/hostkubelet.ts";

setDefaultTimeout(480_000);

let k: HostKubelet;

beforeAll(async () => {
  k = await startHostKubelet("kubelet-streams");
});

afterAll(async () => {
  await k.close();
});

const SERVE =
  "mkdir /w; head -c 20000000 /dev/urandom > /w/big; echo hi > /w/small; md5sum /w/big; exec httpd -f -p 127.0.0.1:8080 -h /w";

/** One HTTP/1.0 request over a forwarded port: the body. */
async function request(channel: Channel, path: string): Promise<Buffer> {
  await channel.send(Buffer.from(`GET ${path} HTTP/1.0\r\n\r\n`));
  const chunks: Uint8Array[] = [];
  for await (const chunk of channel.messages) chunks.push(chunk);
  const answer = Buffer.concat(chunks);
  return answer.subarray(answer.indexOf("\r\n\r\n") + 4);
}

test.concurrent("a forwarded port reaches what listens on the pod's loopback", async () => {
  await k.create("web", { containers: [shell("main", SERVE)] });
  await k.ready("web");
  const sum = await eventually(
    "the sum",
    async () => (await k.logs("web")).split(" ")[0] || undefined,
  );
  const open = () => k.node.open("/portForward/default/web?port=8080");
  const small = await eventually("the server", async () => {
    try {
      return await request(await open(), "/small");
    } catch {
      return undefined;
    }
  });
  expect(small.toString()).toBe("hi\n");
  const big = await request(await open(), "/big");
  expect(createHash("md5").update(big).digest("hex")).toBe(sum);
  const many = await Promise.all(
    Array.from({ length: 30 }, async () => (await request(await open(), "/small")).toString()),
  );
  expect(new Set(many)).toEqual(new Set(["hi\n"]));
  const gone = await open();
  await gone.send(Buffer.from("GET /big HTTP/1.0\r\n\r\n"));
  gone.abort("the client left");
  expect(k.node.open("/portForward/default/web?port=9")).rejects.toThrow("connection refused");
});

test.concurrent("exec carries both ways and tells the exit code", async () => {
  await k.create("exec", {});
  await k.ready("exec");
  const command = ["sh", "-c", "read x; echo got $x; echo bad >&2; exit 7"];
  const query = new URLSearchParams({ stdin: "true" });
  for (const word of command) query.append("command", word);
  const channel = await k.node.open(`/exec/default/exec/main?${query}`);
  await channel.send(Buffer.from([0, ...Buffer.from("hello\n")]));
  const texts = ["", "", "", ""];
  for await (const message of channel.messages) {
    const kind = message[0] ?? 0;
    if (kind <= 3) texts[kind] += Buffer.from(message.subarray(1)).toString();
  }
  expect(texts[1]).toBe("got hello\n");
  expect(texts[2]).toBe("bad\n");
  expect(JSON.parse(texts[3] ?? "").details.causes[0]).toEqual({
    reason: "ExitCode",
    message: "7",
  });
  expect(k.node.open("/exec/default/none/main?command=x")).rejects.toThrow("not found");
});

test.concurrent("logs follow, stamp and cut", async () => {
  const script = "for i in 1 2 3; do echo line $i; sleep 1; done; echo end >&2; sleep 0.3";
  await k.create("logs", { restartPolicy: "Never", containers: [shell("main", script)] });
  await k.until("logs", ({ status }) => status?.phase === "Running");
  expect(await k.logs("logs", "follow=true")).toBe("line 1\nline 2\nline 3\nend\n");
  expect(await k.logs("logs", "tailLines=2")).toBe("line 3\nend\n");
  expect(await k.logs("logs", "limitBytes=4")).toBe("line");
  const stamped = (await k.logs("logs", "timestamps=true")).trim().split("\n");
  const times = stamped.map((line) => Date.parse(line.split(" ", 1)[0] ?? ""));
  expect(times).toEqual([...times].sort((a, b) => a - b));
  expect((times[2] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(400);
  const since = new Date(((times[1] ?? 0) + (times[2] ?? 0)) / 2).toISOString();
  expect(await k.logs("logs", `sinceTime=${since}`)).toBe("line 3\nend\n");
  expect(k.logs("logs", "previous=true")).rejects.toThrow(
    '400 previous terminated container "main" in pod "logs" not found',
  );
  expect(k.logs("logs", "", "none")).rejects.toThrow("404");
});

test.concurrent("logs of a container that waits say why", async () => {
  const env = [{ name: "X", valueFrom: { configMapKeyRef: { name: "never", key: "x" } } }];
  await k.create("waits", { containers: [shell("main", WAIT, { env })] });
  await k.until(
    "waits",
    ({ status }) =>
      status?.containerStatuses?.[0]?.state?.waiting?.reason === "CreateContainerConfigError",
  );
  expect(k.logs("waits")).rejects.toThrow(
    'container "main" in pod "waits" is waiting to start: CreateContainerConfigError',
  );
});

test.concurrent("figures of a busy container rise", async () => {
  await k.create("busy", { containers: [shell("main", "while true; do :; done")] });
  await k.ready("busy");
  const usage = async () => {
    const response = await k.node.fetch(new Request("http://node/stats/summary"));
    const { pods } = (await response.json()) as {
      pods: Array<{
        podRef: { name: string };
        containers: Array<{
          cpu: { usageCoreNanoSeconds: number };
          memory: { usageBytes: number };
        }>;
      }>;
    };
    return pods.find(({ podRef }) => podRef.name === "busy")?.containers[0];
  };
  const before = await eventually("a figure", usage);
  await eventually("a higher one", async () => {
    const after = await usage();
    const spent = (after?.cpu.usageCoreNanoSeconds ?? 0) - before.cpu.usageCoreNanoSeconds;
    return spent > 50e6 ? true : undefined;
  });
  expect(before.memory.usageBytes).toBeGreaterThan(0);
  const metrics = await (await k.node.fetch(new Request("http://node/metrics/resource"))).text();
  expect(metrics).toContain(
    'container_cpu_usage_seconds_total{container="main",namespace="default",pod="busy"}',
  );
  expect(metrics).toContain("node_memory_working_set_bytes ");
});
