/**
 * Server-side request forgery: nobody makes the API server connect to loopback, to a link, to a
 * node or to a Service's address, and nobody's server gets the credentials of who asked.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { encodeObject } from "#api/codec.ts";
import type { NodeLink } from "#api/nodes.ts";
import { type Channel, channelPair } from "#base/channel.ts";
import type { ApiObject } from "#resources/meta.ts";
import { startApi, type TestApi } from "#test/support/api.ts";
import { OWN_ADDRESS } from "#test/support/ownaddress.ts";

const NS = "/api/v1/namespaces/default";
const SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const MERGE = { headers: { "content-type": "application/merge-patch+json" } };

let api: TestApi;
/** What listens on loopback and on the node's own address, and must not be asked. */
let victim: ReturnType<typeof Bun.serve>;
let victimPort: number;
let asked: Headers[] = [];
/** What came to the agent of a node. */
let atNode: string[] = [];
/** This machine's addresses, and what names mean. */
let addresses: string[] = [];
let names: Record<string, string[][]> = {};

async function answerOn(channel: Channel): Promise<void> {
  for await (const bytes of channel.messages) {
    atNode.push(new TextDecoder("latin1").decode(bytes));
    await channel.send(new TextEncoder().encode("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\npod"));
  }
}

const link: NodeLink = {
  async fetch(request) {
    atNode.push([...request.headers].map(([name, value]) => `${name}: ${value}`).join("\n"));
    return new Response("node");
  },
  async open(path) {
    atNode.push(path);
    const [own, other] = channelPair();
    other.closed.catch(() => {});
    void answerOn(other).catch(() => {});
    return own;
  },
};

beforeAll(async () => {
  victim = Bun.serve({
    port: 0,
    hostname: "0.0.0.0",
    fetch(request) {
      asked.push(new Headers(request.headers.toJSON()));
      const { pathname, port } = new URL(request.url);
      if (pathname !== "/moved") return new Response("secret");
      return Response.redirect(`http://127.0.0.1:${port}/secret`, 302);
    },
  });
  victimPort = victim.port ?? 0;
  api = await startApi({
    settings: { advertise: { address: "192.0.2.9", port: 6443 } },
    nodeLinks: { link: () => link, appears: async () => link },
    network: {
      addresses: () => addresses,
      lookup: async (name) => names[name]?.shift() ?? [],
    },
  });
  await api.create("/api/v1/nodes", {
    metadata: { name: "n1" },
    spec: { podCIDR: "10.42.1.0/24", podCIDRs: ["10.42.1.0/24"] },
    status: { addresses: [{ type: "InternalIP", address: "192.0.2.7" }] },
  } as object);
  for (const [name, ip, hostNetwork] of [
    ["web", "10.42.1.9", false],
    ["host", "192.0.2.7", true],
  ] as const) {
    const spec = { nodeName: "n1", hostNetwork, containers: [{ name: "a", image: "i:1" }] };
    await api.create(`${NS}/pods`, { metadata: { name }, spec } as object);
    const status = { phase: "Running", podIP: ip, podIPs: [{ ip }] };
    await api.call("PATCH", `${NS}/pods/${name}/status`, { status }, MERGE);
  }
  const ports = [{ name: "http", port: 80 }];
  await api.create(`${NS}/services`, { metadata: { name: "web" }, spec: { ports } } as object);
});

afterAll(async () => {
  await victim.stop(true);
  await api.close();
});

/** Straight into the store, as a version that checked less may have left it there. */
async function putSlice(service: string, slice: object): Promise<void> {
  const object = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `${service}-1`, namespace: "default" },
    addressType: "IPv4",
    ports: [{ name: "http", port: victimPort }],
    ...slice,
  };
  const key = `discovery.k8s.io/endpointslices/default/${service}-1`;
  await api.store.write({
    key,
    value: encodeObject(object as ApiObject),
    terms: { labels: { "kubernetes.io/service-name": service }, fields: {} },
    expect: (await api.store.get(key))?.revision ?? 0,
  });
}

/** What the proxy of the Service answers, and whether it asked the victim. */
async function viaProxy(path = "/", headers: Record<string, string> = {}) {
  asked = [];
  atNode = [];
  const answer = await api.call("GET", `${NS}/services/web/proxy${path}`, undefined, { headers });
  return { code: answer.code, text: answer.text, reached: asked.length + atNode.length > 0 };
}

const LOCAL = [
  ["127.0.0.1", "IPv4"],
  ["127.8.9.10", "IPv4"],
  ["0.0.0.0", "IPv4"],
  ["169.254.169.254", "IPv4"],
  ["::1", "IPv6"],
  ["::", "IPv6"],
  ["0:0:0:0:0:0:0:1", "IPv6"],
  ["0000:0000:0000:0000:0000:0000:0000:0000", "IPv6"],
  ["::ffff:127.0.0.1", "IPv6"],
  ["::FFFF:7f00:1", "IPv6"],
  ["::ffff:169.254.169.254", "IPv6"],
  ["::ffff:0.0.0.0", "IPv6"],
  ["::127.0.0.1", "IPv6"],
  ["64:ff9b::127.0.0.1", "IPv6"],
  ["2002:7f00:1::", "IPv6"],
  ["fe80::1", "IPv6"],
  ["FEBF::1", "IPv6"],
] as const;

describe("addresses of this machine and its links", () => {
  test.each(LOCAL)("%s is no endpoint", async (address, addressType) => {
    const endpoints = [{ addresses: [address] }];
    const slice = { metadata: { name: "bad" }, addressType, endpoints, ports: [] };
    expect((await api.call("POST", SLICES, slice)).code).toBe(422);
    const old = { metadata: { name: "bad" }, subsets: [{ addresses: [{ ip: address }] }] };
    expect((await api.call("POST", `${NS}/endpoints`, old)).code).toBe(422);
    const spec = { ports: [{ port: 80 }], externalIPs: [address] };
    const service = { metadata: { name: "bad" }, spec };
    expect((await api.call("POST", `${NS}/services`, service)).code).toBe(422);
  });

  test.each([...LOCAL, ["224.0.0.5", "IPv4"], ["255.255.255.255", "IPv4"], ["ff05::1", "IPv6"]])(
    "%s in the store is not asked",
    async (address, addressType) => {
      await putSlice("web", { addressType, endpoints: [{ addresses: [address] }] });
      const { code, text, reached } = await viaProxy();
      expect({ code, reached }).toEqual({ code: 400, reached: false });
      expect(text).toContain("is not allowed");
    },
  );

  test.each(["localhost.localdomain", "0x7f.1", "127.1", "2130706433", "017700000001"])(
    "the name %s is not asked",
    async (address) => {
      await putSlice("web", { addressType: "FQDN", endpoints: [{ addresses: [address] }] });
      const { code, reached } = await viaProxy();
      expect({ code, reached }).toEqual({ code: 503, reached: false });
    },
  );

  test("the machine's own address is not asked", async () => {
    addresses = [OWN_ADDRESS];
    await putSlice("web", { endpoints: [{ addresses: [OWN_ADDRESS] }] });
    expect(await viaProxy()).toMatchObject({ code: 400, reached: false });
    addresses = [];
  });

  test.each([
    ["a node's address", "192.0.2.7"],
    ["a server's address", "192.0.2.9"],
    ["a node's bridge", "10.42.1.1"],
    ["a node's network", "10.42.1.0"],
    ["an address in the range of Services", "10.43.0.1"],
    ["an external address of a Service", "203.0.113.9"],
  ])("%s is not asked", async (_, address) => {
    const spec = { ports: [{ port: 80 }], externalIPs: ["203.0.113.9"] };
    await api.call("POST", `${NS}/services`, { metadata: { name: "outside" }, spec });
    await putSlice("web", { endpoints: [{ addresses: [address] }] });
    expect(await viaProxy()).toMatchObject({ code: 400, reached: false });
  });
});

describe("an endpoint that says it is a pod", () => {
  const says = (address: string, targetRef: object) =>
    putSlice("web", { endpoints: [{ addresses: [address], targetRef }] });

  test("is asked through its node where it is", async () => {
    await says("10.42.1.9", { kind: "Pod", name: "web" });
    expect(await viaProxy()).toMatchObject({ code: 200, text: "pod" });
    expect(atNode[0]).toStartWith(`/portForward/default/web?port=${victimPort}&proxy=1&uid=`);
    await says("192.0.2.7", { kind: "Pod", name: "host" });
    expect(await viaProxy()).toMatchObject({ code: 200, text: "pod" });
  });

  test.each([
    ["has another address", "127.0.0.1", { kind: "Pod", name: "web" }],
    ["has a node's address", "192.0.2.7", { kind: "Pod", name: "web" }],
    ["has another uid", "192.0.2.7", { kind: "Pod", name: "host", uid: "x" }],
    ["is in another namespace", "192.0.2.7", { kind: "Pod", name: "host", namespace: "other" }],
    ["is not there", "192.0.2.7", { kind: "Pod", name: "gone" }],
    ["is a node", "192.0.2.7", { kind: "Node", name: "n1" }],
  ])("and %s is not asked", async (_, address, targetRef) => {
    await says(address, targetRef);
    expect(await viaProxy()).toMatchObject({ code: 400, reached: false });
  });

  test("and has ended is not asked", async () => {
    const status = { phase: "Failed" };
    await api.call("PATCH", `${NS}/pods/host/status`, { status }, MERGE);
    await says("192.0.2.7", { kind: "Pod", name: "host" });
    expect(await viaProxy()).toMatchObject({ code: 400, reached: false });
    await api.call("PATCH", `${NS}/pods/host/status`, { status: { phase: "Running" } }, MERGE);
  });
});

describe("webhooks and API servers behind a Service", () => {
  /** Why an admission webhook at this Service could not be asked. */
  async function problemOf(service: string): Promise<string> {
    const name = "hook.example.com";
    const rule = { apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"] };
    const webhook = {
      name,
      rules: [{ ...rule, operations: ["CREATE"] }],
      clientConfig: { service: { namespace: "default", name: service, port: victimPort } },
      sideEffects: "None",
      admissionReviewVersions: ["v1"],
    };
    const path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    await api.create(path, { metadata: { name }, webhooks: [webhook] } as object);
    const { text } = await api.call("POST", `${NS}/configmaps`, { metadata: { name: "a" } });
    await api.call("DELETE", `${path}/${name}`);
    return text;
  }

  test("are not looked for on loopback by their endpoints", async () => {
    const spec = { ports: [{ name: "http", port: victimPort }] };
    await api.create(`${NS}/services`, { metadata: { name: "hook" }, spec } as object);
    for (const address of ["127.0.0.1", "192.0.2.7"]) {
      await putSlice("hook", { endpoints: [{ addresses: [address] }] });
      expect(await problemOf("hook")).toContain(`address ${address} is not allowed`);
    }
  });

  test.each(["localhost", "0x7f.1", "2130706433", "rebind.example.com"])(
    "are not looked for on loopback by the name %s",
    async (externalName) => {
      names = { [externalName]: [["127.0.0.1", "::1"]] };
      const spec = { type: "ExternalName", externalName };
      await api.create(`${NS}/services`, { metadata: { name: "named" }, spec } as object);
      expect(await problemOf("named")).toContain("is not allowed");
      await api.call("DELETE", `${NS}/services/named`);
    },
  );

  test("a name is asked for once, and what was checked is connected to", async () => {
    names = { "rebind.example.com": [[OWN_ADDRESS], ["127.0.0.1"], ["127.0.0.1"]] };
    const spec = { type: "ExternalName", externalName: "rebind.example.com" };
    await api.create(`${NS}/services`, { metadata: { name: "named" }, spec } as object);
    await problemOf("named");
    expect(names["rebind.example.com"]).toHaveLength(2);
  });
});

describe("what proves who asks", () => {
  const SECRETS = {
    authorization: "Bearer secret-1",
    "proxy-authorization": "Basic secret-2",
    "impersonate-user": "secret-3",
    "impersonate-group": "system:masters",
    "Impersonate-Extra-Scopes": "secret-4",
    impersonate_user: "secret-5",
    "x-remote-user": "secret-6",
    "x-remote-group": "secret-7",
    X_Remote_User: "secret-8",
    "X-Remote-Extra-A": "secret-9",
    "sec-websocket-protocol": "base64url.bearer.authorization.k8s.io.c2VjcmV0, v1.console",
    connection: "x-mine",
    "x-mine": "secret-10",
    te: "trailers",
    "x-kept": "kept",
  };
  const leaks = (text: string): string[] =>
    text.match(/secret-\d+|impersonate\S*|base64url\S*|x-mine\S*|\bte: \S+/gi) ?? [];

  test("is not told a Service's endpoint", async () => {
    await putSlice("web", { endpoints: [{ addresses: [OWN_ADDRESS] }] });
    expect(await viaProxy("/", SECRETS)).toMatchObject({ code: 200, text: "secret" });
    const [headers] = asked;
    const text = [...(headers ?? [])].map((each) => each.join(": ")).join("\n");
    expect(leaks(text)).toEqual([]);
    expect(text).toContain("x-kept: kept");
    expect(text).toContain("sec-websocket-protocol: v1.console");
    expect(headers?.get("x-forwarded-uri")).toBe(`${NS}/services/web/proxy/`);
  });

  test("is not told a pod, whichever way it is asked", async () => {
    await putSlice("web", {
      endpoints: [{ addresses: ["10.42.1.9"], targetRef: { kind: "Pod", name: "web" } }],
    });
    for (const path of ["services/web", "pods/web", "pods/http:web:80"]) {
      atNode = [];
      const options = { headers: SECRETS };
      const { text } = await api.call("GET", `${NS}/${path}/proxy/`, undefined, options);
      expect(text).toBe("pod");
      expect(leaks(atNode.join("\n"))).toEqual([]);
      expect(atNode.join("\n")).toContain("x-kept: kept");
    }
  });

  test("is not told a node", async () => {
    atNode = [];
    const path = "/api/v1/nodes/n1/proxy/pods";
    expect((await api.call("GET", path, undefined, { headers: SECRETS })).text).toBe("node");
    expect(leaks(atNode.join("\n"))).toEqual([]);
  });
});

test("a redirect is the client's to follow", async () => {
  await putSlice("web", { endpoints: [{ addresses: [OWN_ADDRESS] }] });
  const { code } = await viaProxy("/moved");
  expect([code, asked.length]).toEqual([302, 1]);
});

test.each(["22", "2379", "6443", "http", "10250x"])(
  "port %s of a node is not asked",
  async (port) => {
    atNode = [];
    const { code } = await api.call("GET", `/api/v1/nodes/n1:${port}/proxy/healthz`);
    expect([code, atNode]).toEqual([400, []]);
  },
);

test.each(["/a%0d%0aX: y", "/a%0D%0A%0D%0AGET%20/hidden%20HTTP/1.1", "/a?b=%0d%0aX: y", "/%00"])(
  "%s stays one request",
  async (path) => {
    atNode = [];
    await api.call("GET", `${NS}/pods/web/proxy${path}`);
    const sent = atNode.slice(1).join("");
    expect(sent.split("\r\n\r\n")).toEqual([expect.stringMatching(/^GET \S+ HTTP\/1\.1\r\n/), ""]);
    expect(sent).not.toMatch(/^(?:X|GET \/hidden)/m);
  },
);
