import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { type Listener, listen } from "#api/listener.ts";
import type { NodeLink, NodeLinks } from "#api/nodes.ts";
import { type Channel, channelPair } from "#base/channel.ts";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import { ADMIN_TOKEN, startApi, type TestApi } from "#test/support/api.ts";
import { eventually } from "#test/support/instance.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const message = (channel: number, text: string): Uint8Array =>
  Buffer.concat([Uint8Array.of(channel), encoder.encode(text)]);

/** What the API asked the node for, in order. */
const asked: string[] = [];
const BIG_MESSAGES = 400;
const BIG_BYTES = 32 * 1024;

/** Returns the path that the node receives, without the pod's UID. */
const plain = (path: string): string =>
  path.replace(/([?&])uid=[0-9a-f-]{36}(?:&|$)/, "$1").replace(/[?&]$/, "");

async function run(channel: Channel, path: string): Promise<void> {
  await channel.send(message(1, `at ${plain(path)}`));
  if (path.includes("stdin")) {
    for await (const bytes of channel.messages) {
      if (bytes[0] === 255) break;
      if (bytes[0] === 0) await channel.send(Buffer.concat([Uint8Array.of(1), bytes.subarray(1)]));
    }
  }
  if (path.includes("big")) {
    const part = Buffer.concat([Uint8Array.of(1), new Uint8Array(BIG_BYTES)]);
    for (let i = 0; i < BIG_MESSAGES; i++) await channel.send(part);
  }
  await channel.send(message(3, JSON.stringify({ status: "Failure", message: "exit 7" })));
  channel.end();
}

/** A pod's port that is this machine's. */
async function forward(channel: Channel, port: number): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  const closed = new Promise<void>((done) => socket.once("close", () => done()));
  void (async () => {
    for await (const part of socket) await channel.send(new Uint8Array(part));
    channel.end();
  })().catch(() => {});
  try {
    for await (const bytes of channel.messages) socket.write(bytes);
    socket.end();
  } catch {
    socket.destroy();
  }
  await closed;
}

const link: NodeLink = {
  async fetch(request) {
    const { pathname, search } = new URL(request.url);
    asked.push(pathname + search);
    if (pathname.endsWith("/waiting")) {
      return new Response("container is waiting to start", { status: 400 });
    }
    return new Response(`log of ${plain(pathname + search)}\n`);
  },
  async open(path) {
    asked.push(path);
    const [inside, outside] = channelPair();
    const { pathname, searchParams } = new URL(path, "http://node");
    if (pathname.endsWith("/gone")) throw new Error("no such container");
    if (pathname.startsWith("/portForward")) {
      void forward(inside, Number(searchParams.get("port")));
    } else void run(inside, path).catch(() => {});
    return outside;
  },
};

/** Nodes that connect when they are waited for, and who was waited for how long. */
const coming = new Set(["n3"]);
const waited: Array<[string, number]> = [];
const nodeLinks: NodeLinks = {
  link: (name) => (name === "n1" ? link : undefined),
  async appears(name, withinMs) {
    waited.push([name, withinMs]);
    return coming.has(name) ? link : undefined;
  },
};

let api: TestApi;
let listener: Listener;
let web: ReturnType<typeof Bun.serve>;
const PODS = "/api/v1/namespaces/default/pods";

beforeAll(async () => {
  api = await startApi({ nodeLinks });
  listener = listen({ fetch: api.api.fetch, hostname: "127.0.0.1", port: 0, log: silentLog });
  web = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      if (pathname === "/moved")
        return new Response(null, { status: 302, headers: { location: "/x" } });
      const token = request.headers.get("authorization") ?? "none";
      return new Response(
        `${request.method} ${pathname}${search} ${token} ${await request.text()}`,
      );
    },
  });
  const pod = (name: string, nodeName: string, containers: string[]) => ({
    metadata: { name },
    spec: { nodeName, containers: containers.map((each) => ({ name: each, image: "i:1" })) },
  });
  await api.create(PODS, pod("one", "n1", ["main"]) as object);
  const status = { podIP: "10.42.0.9", podIPs: [{ ip: "10.42.0.9" }] };
  const json = { headers: { "content-type": "application/merge-patch+json" } };
  await api.call("PATCH", `${PODS}/one/status`, { status }, json);
  await api.create(PODS, pod("two", "n1", ["main", "side", "waiting", "gone"]) as object);
  await api.create(PODS, pod("far", "n2", ["main"]) as object);
  await api.create(PODS, pod("loose", "", ["main"]) as object);
  for (const [name, status] of [
    ["n3", "True"],
    ["n4", "True"],
    ["n5", "Unknown"],
  ]) {
    const conditions = [{ type: "Ready", status }];
    await api.create("/api/v1/nodes", { metadata: { name }, status: { conditions } } as object);
    await api.create(PODS, pod(`on-${name}`, name ?? "", ["main"]) as object);
  }
});
afterAll(async () => {
  await web.stop(true);
  await listener.stop();
  await api.close();
});

describe("logs", () => {
  test("come from the node, with what was asked for", async () => {
    const { code, text, headers } = await api.call(
      "GET",
      `${PODS}/one/log?tailLines=5&follow=false&timestamps=true`,
    );
    expect(code).toBe(200);
    expect(text).toBe("log of /containerLogs/default/one/main?timestamps=true&tailLines=5\n");
    expect(headers.get("content-type")).toStartWith("text/plain");
  });

  test.each([
    ["one/log?container=nope", 400, "container nope is not valid for pod one"],
    [
      "two/log",
      400,
      "a container name must be specified for pod two, choose one of: [main side waiting gone]",
    ],
    ["two/log?container=waiting", 400, "container is waiting to start"],
    ["far/log", 503, "node n2 is not connected"],
    ["none/log", 404, 'pods "none" not found'],
    ["one/log?tailLines=-1", 422, "must be greater than or equal to 0"],
  ])("%s is %d", async (path, code, text) => {
    const answer = await api.call("GET", `${PODS}/${path}`);
    expect(answer.code).toBe(code);
    expect(answer.body.message).toContain(text);
  });

  test("of a pod that has no node yet are empty", async () => {
    const { code, text } = await api.call("GET", `${PODS}/loose/log`);
    expect([code, text]).toEqual([200, ""]);
  });
});

test("a ready node that is not connected is waited for, one that is gone is not", async () => {
  const log = async (name: string) => {
    const { code, text } = await api.call("GET", `${PODS}/${name}/log`);
    return { code, text };
  };
  waited.length = 0;
  expect(await log("on-n3")).toEqual({
    code: 200,
    text: "log of /containerLogs/default/on-n3/main\n",
  });
  const missed = await log("on-n4");
  expect([missed.code, missed.text.includes("node n4 is not connected")]).toEqual([503, true]);
  for (const gone of ["on-n5", "far"]) expect((await log(gone)).code).toBe(503);
  expect(waited).toEqual([
    ["n3", limits.nodeLinkWaitMsMax],
    ["n4", limits.nodeLinkWaitMsMax],
  ]);
});

interface Session {
  readonly protocol: string;
  send(data: Uint8Array | string): void;
  readonly received: Uint8Array[];
  readonly closed: Promise<void>;
}

async function open(path: string, protocols: string[]): Promise<Session> {
  const url = `${listener.url.replace("http", "ws")}${path}`;
  const token = Buffer.from(ADMIN_TOKEN).toString("base64url");
  const bearer = `base64url.bearer.authorization.k8s.io.${token}`;
  const socket = new WebSocket(url, { protocols: [...protocols, bearer] } as unknown as string[]);
  socket.binaryType = "arraybuffer";
  const received: Uint8Array[] = [];
  socket.onmessage = ({ data }) => {
    received.push(typeof data === "string" ? encoder.encode(data) : new Uint8Array(data));
  };
  const closed = new Promise<void>((done) => {
    socket.onclose = () => done();
  });
  await new Promise<void>((done, fail) => {
    socket.onopen = () => done();
    socket.onerror = () => fail(new Error("refused"));
  });
  return { protocol: socket.protocol, send: (data) => socket.send(data), received, closed };
}

/** What came on one channel, joined. */
const onChannel = (session: Session, channel: number): string =>
  decoder.decode(
    Buffer.concat(
      session.received.filter((each) => each[0] === channel).map((each) => each.subarray(1)),
    ),
  );

describe("exec", () => {
  test("carries output and the end, and tells its container", async () => {
    const session = await open(`${PODS}/one/exec?stdout=1&command=a&command=b`, [
      "v5.channel.k8s.io",
    ]);
    await session.closed;
    expect(session.protocol).toBe("v5.channel.k8s.io");
    expect(onChannel(session, 1)).toBe("at /exec/default/one/main?stdout=1&command=a&command=b");
    expect(JSON.parse(onChannel(session, 3))).toEqual({ status: "Failure", message: "exit 7" });
  });

  test("carries input until the client closes it", async () => {
    const session = await open(`${PODS}/one/exec?stdin=1&stdout=1&command=cat`, [
      "v5.channel.k8s.io",
    ]);
    session.send(message(0, "hello "));
    session.send(message(0, "there"));
    session.send(Uint8Array.of(255, 0));
    await session.closed;
    expect(onChannel(session, 1)).toEndWith("hello there");
  });

  test("speaks the older protocols", async () => {
    const path = `${PODS}/one/exec?stdout=1&command=a`;
    const base64 = await open(path, ["base64.channel.k8s.io"]);
    await base64.closed;
    const lines = base64.received.map((each) => decoder.decode(each));
    expect(lines.map((line) => line[0])).toEqual(["1", "1", "3"]);
    expect(atob(lines[2]?.slice(1) ?? "")).toBe("exit 7");
    const first = await open(path, ["channel.k8s.io"]);
    await first.closed;
    expect(onChannel(first, 3)).toBe("exit 7");
  });

  test("loses nothing to a slow network", async () => {
    const session = await open(`${PODS}/one/exec?stdout=1&command=big`, ["v5.channel.k8s.io"]);
    await session.closed;
    const bytes = session.received
      .filter((each) => each[0] === 1)
      .reduce((n, each) => n + each.length - 1, 0);
    expect(bytes).toBeGreaterThanOrEqual(BIG_MESSAGES * BIG_BYTES);
  });

  test.each([
    [`${PODS}/two/exec?stdout=1&command=a&container=gone`, 500, "no such container"],
    [`${PODS}/one/exec?command=a`, 400, "you must specify at least 1 of stdin, stdout, stderr"],
    [`${PODS}/one/exec?stdout=1`, 400, "at least one command"],
    [`${PODS}/loose/exec?stdout=1&command=a`, 400, "does not have a host assigned"],
  ])("%s is refused before the upgrade", async (path, code, text) => {
    const headers = { upgrade: "websocket", authorization: `Bearer ${ADMIN_TOKEN}` };
    const answer = await api.call("GET", path, undefined, { headers });
    expect([answer.code, answer.body.message]).toEqual([code, expect.stringContaining(text)]);
  });

  test("plain HTTP is told to upgrade", async () => {
    const { code } = await api.call("GET", `${PODS}/one/exec?stdout=1&command=a`);
    expect(code).toBe(400);
  });
});

describe("port-forward over channels", () => {
  test("reaches the pod's port", async () => {
    const session = await open(`${PODS}/one/portforward?ports=${web.port}`, ["v4.channel.k8s.io"]);
    session.send(message(0, `GET /hi HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`));
    const answered = async () => onChannel(session, 0).includes("GET /hi");
    await eventually("an answer", 60_000, answered);
    const port = Buffer.from(session.received[0]?.subarray(1) ?? []).readUInt16LE();
    expect(port).toBe(web.port ?? 0);
    expect(onChannel(session, 0)).toContain("GET /hi none");
  });

  test("needs ports", async () => {
    const headers = { upgrade: "websocket" };
    const { code } = await api.call("GET", `${PODS}/one/portforward`, undefined, { headers });
    expect(code).toBe(400);
  });
});

describe("proxies", () => {
  test("carry requests to a pod, without the user's token", async () => {
    const path = `${PODS}/one:${web.port}/proxy/a/b?c=d`;
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "text/plain" };
    const { code, text } = await api.call("POST", path, "body", { headers });
    expect([code, text]).toEqual([200, "POST /a/b?c=d none body"]);
  });

  test("keep redirects below their own path", async () => {
    const { code, headers } = await api.call("GET", `${PODS}/one:${web.port}/proxy/moved`);
    expect([code, headers.get("location")]).toEqual([302, `${PODS}/one:${web.port}/proxy/x`]);
  });

  test("find a Service's pod by its endpoints", async () => {
    await api.create("/api/v1/namespaces/default/services", {
      metadata: { name: "web" },
      spec: { ports: [{ name: "http", port: 80 }] },
    } as object);
    await api.create("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
      metadata: { name: "web-1", labels: { "kubernetes.io/service-name": "web" } },
      addressType: "IPv4",
      endpoints: [
        { addresses: ["10.42.0.9"], targetRef: { kind: "Pod", name: "one", namespace: "default" } },
      ],
      ports: [{ name: "http", port: web.port }],
    } as object);
    const base = "/api/v1/namespaces/default/services";
    for (const name of ["web", "web:http", "web:80", "http:web:http"]) {
      const { code, text } = await api.call("GET", `${base}/${name}/proxy/x`);
      expect([code, text]).toEqual([200, "GET /x none "]);
    }
    expect((await api.call("GET", `${base}/web:nope/proxy/x`)).code).toBe(503);
  });

  test("reach a node's own paths", async () => {
    await api.create("/api/v1/nodes", { metadata: { name: "n1" } });
    for (const name of ["n1", "n1:10250", "https:n1:10250"]) {
      const { text } = await api.call("GET", `/api/v1/nodes/${name}/proxy/stats/summary`);
      expect(text).toBe("log of /stats/summary\n");
    }
  });

  test("to a node carries exec by the kubelet's own path", async () => {
    const path = "/exec/default/one/main?command=id&input=1&output=1&error=1";
    const session = await open(`/api/v1/nodes/n1/proxy${path}`, ["v4.channel.k8s.io"]);
    await session.closed;
    expect(asked.at(-1)).toBe(path);
    expect(onChannel(session, 1)).toBe(`at ${path}`);
    expect(onChannel(session, 3)).toContain("exit 7");
  });
});
