import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Server, ServerWebSocket } from "bun";
import { encodeObject } from "#api/codec.ts";
import { listen } from "#api/listener.ts";
import { openPki, type Pki } from "#api/pki.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { realRandom } from "#base/random.ts";
import type { ApiObject } from "#resources/meta.ts";
import { startApi, type TestApi } from "#test/support/api.ts";
import { eventually } from "#test/support/instance.ts";
import { OWN_ADDRESS } from "#test/support/ownaddress.ts";

/** What the other server says of its objects in the form that came before. */
const OLD_DOCUMENT = {
  swagger: "2.0",
  info: { title: "ext", version: "1" },
  paths: {
    "/apis/ext.io/v1/foos": {
      get: {
        operationId: "listFoo",
        produces: ["application/json"],
        responses: { 200: { description: "OK", schema: { $ref: "#/definitions/io.ext.Foo" } } },
      },
    },
    "/apis/other.io/v1/bars": { get: { operationId: "listBar", responses: {} } },
  },
  definitions: { "io.ext.Foo": { type: "object", properties: { spec: { type: "string" } } } },
};

let api: TestApi;
let pki: Pki;
let server: Server<string>;
const BOB = { name: "bob", groups: ["system:masters"] };
const dir = mkdtempSync(join(tmpdir(), "bramble-aggregation-"));
const seen: Array<{
  path: string;
  user: string | null;
  groups: string | null;
  token: string | null;
}> = [];

beforeAll(async () => {
  api = await startApi();
  pki = await openPki({
    dir,
    clock: realClock,
    random: realRandom,
    log: silentLog,
    names: ["ext.default.svc"],
    ips: [],
  });
  const { certPem, keyPem } = pki.server();
  server = Bun.serve({
    port: 0,
    hostname: OWN_ADDRESS,
    tls: { cert: certPem, key: keyPem },
    websocket: {
      open: (socket: ServerWebSocket<string>) => void socket.send(`hello ${socket.data}`),
      message: (socket, message) => void socket.send(message),
    },
    fetch(request, self) {
      const url = new URL(request.url);
      if (url.pathname.endsWith("/console")) {
        const data = request.headers.get("x-remote-user") ?? "";
        const headers = { "sec-websocket-protocol": "v1.console" };
        return self.upgrade(request, { data, headers }) ? undefined : new Response("no");
      }
      if (url.pathname === "/openapi/v3") {
        const serverRelativeURL = "/openapi/v3/apis/ext.io/v1?hash=1";
        return Response.json({ paths: { "apis/ext.io/v1": { serverRelativeURL } } });
      }
      if (url.pathname === "/openapi/v2") return Response.json(OLD_DOCUMENT);
      if (url.pathname === "/openapi/v3/apis/ext.io/v1") {
        return Response.json({ openapi: "3.0.0" });
      }
      seen.push({
        path: url.pathname + url.search,
        user: request.headers.get("x-remote-user"),
        groups: request.headers.get("x-remote-group"),
        token: request.headers.get("authorization"),
      });
      if (url.pathname === "/apis/ext.io/v1") {
        return Response.json({
          kind: "APIResourceList",
          groupVersion: "ext.io/v1",
          resources: [
            { name: "foos", kind: "Foo", namespaced: true, singularName: "foo", verbs: ["get"] },
          ],
        });
      }
      return Response.json({ kind: "Foo", apiVersion: "ext.io/v1" });
    },
  });
  await api.create("/api/v1/namespaces/default/services", {
    metadata: { name: "ext" },
    spec: { ports: [{ port: 443 }] },
  } as object);
  await putSlice("ext", { name: "", port: server.port ?? 0 });
});

async function putSlice(service: string, port: { name: string; port: number }): Promise<void> {
  const slice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `${service}-1`, namespace: "default" },
    addressType: "IPv4",
    endpoints: [{ addresses: [OWN_ADDRESS] }],
    ports: [port],
  };
  const key = `discovery.k8s.io/endpointslices/default/${service}-1`;
  await api.store.write({
    key,
    value: encodeObject(slice as ApiObject),
    terms: { labels: { "kubernetes.io/service-name": service }, fields: {} },
    expect: (await api.store.get(key))?.revision ?? 0,
  });
}
afterAll(async () => {
  await server.stop(true);
  pki.close();
  await api.close();
  rmSync(dir, { recursive: true, force: true });
});

const SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices";
const apiService = (version: string, name: string) => ({
  metadata: { name: `${version}.ext.io` },
  spec: {
    group: "ext.io",
    version,
    groupPriorityMinimum: 100,
    versionPriority: 10,
    caBundle: btoa(pki.caPem),
    service: { namespace: "default", name },
  },
});

async function until(name: string, reason: string): Promise<void> {
  await eventually(`${name} has ${reason}`, 60_000, async () => {
    const { body } = await api.call("GET", `${SERVICES}/${name}`);
    return body.status?.conditions?.[0]?.reason === reason;
  });
}

async function conditionOf(name: string): Promise<{ status: string; reason: string }> {
  return eventually(`a condition of ${name}`, 60_000, async () => {
    const { status } = (await api.call("GET", `${SERVICES}/${name}`)).body;
    return status.conditions?.[0];
  });
}

describe("a group that another server serves", () => {
  test("is found, shown, and asked in the user's name", async () => {
    await api.create(SERVICES, apiService("v1", "ext") as object);
    expect(await conditionOf("v1.ext.io")).toMatchObject({ status: "True", reason: "Passed" });
    const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    const { text } = await api.call("GET", "/apis", undefined, { headers: { accept } });
    expect(text).toContain('"foos"');
    const path = "/apis/ext.io/v1/namespaces/default/foos/x?a=b";
    const headers = { authorization: "Bearer secret", "x-remote-user": "system:admin" };
    const answer = await api.call("GET", path, undefined, { headers });
    expect(answer.body.kind).toBe("Foo");
    expect(seen.at(-1)).toEqual({
      path,
      user: "admin",
      groups: "system:masters",
      token: null,
    });
  });

  test("is for who may ask", async () => {
    const user = { name: "bob", groups: ["system:authenticated"] };
    const { code, body } = await api.call("GET", "/apis/ext.io/v1/foos", undefined, { user });
    expect(code).toBe(403);
    expect(body.message).toContain('cannot list resource "foos" in API group "ext.io"');
  });

  test("whose server is away answers 503 and says so", async () => {
    await api.create(SERVICES, apiService("v2", "nowhere") as object);
    expect(await conditionOf("v2.ext.io")).toMatchObject({
      status: "False",
      reason: "ServiceNotFound",
      message: 'service/nowhere in "default" is not present',
    });
    const { code, body } = await api.call("GET", "/apis/ext.io/v2/foos");
    expect([code, body.reason]).toEqual([503, "ServiceUnavailable"]);
  });

  test("is looked for again when its Service gets ready places", async () => {
    const name = "v3.ext.io";
    await api.create(SERVICES, apiService("v3", "late") as object);
    expect(await conditionOf(name)).toMatchObject({ reason: "ServiceNotFound" });
    await api.create("/api/v1/namespaces/default/services", {
      metadata: { name: "late" },
      spec: { ports: [{ port: 443, name: "https" }] },
    } as object);
    await until(name, "EndpointsNotFound");
    await putSlice("late", { name: "other", port: 1 });
    await until(name, "MissingEndpoints");
    await putSlice("late", { name: "https", port: server.port ?? 0 });
    // Its certificate is another Service's.
    await until(name, "FailedDiscoveryCheck");
    const spec = { insecureSkipTLSVerify: true, caBundle: null };
    const headers = { "content-type": "application/merge-patch+json" };
    await api.call("PATCH", `${SERVICES}/${name}`, { spec }, { headers });
    await until(name, "Passed");
  });

  test("keeps the order of conditions, and those of others", async () => {
    const path = `${SERVICES}/v1.ext.io`;
    const { body } = await api.call("GET", `${path}/status`);
    const mine = { type: "Mine", status: "True", reason: "E2E", message: "from a test" };
    const conditions = [...body.status.conditions, mine];
    const headers = { "content-type": "application/merge-patch+json" };
    await api.call("PATCH", `${path}/status`, { status: { conditions } }, { headers });
    await api.call("PATCH", path, { spec: { versionPriority: 400 } }, { headers });
    const after = (await api.call("GET", path)).body;
    expect(after.spec.versionPriority).toBe(400);
    expect(after.status.conditions.map(({ type }: { type: string }) => type)).toEqual([
      "Available",
      "Mine",
    ]);
  });

  test("tells for itself what it serves and how its objects look", async () => {
    const list = await api.call("GET", "/apis/ext.io/v1");
    expect(list.body.resources[0].name).toBe("foos");
    const index = await api.call("GET", "/openapi/v3");
    const { serverRelativeURL } = index.body.paths["apis/ext.io/v1"];
    expect(serverRelativeURL).toBe("/openapi/v3/apis/ext.io/v1?hash=1");
    expect(index.body.paths["apis/apps/v1"]).toBeDefined();
    expect((await api.call("GET", serverRelativeURL)).body.openapi).toBe("3.0.0");
  });

  test("has its part in the old document, too", async () => {
    const { paths, definitions } = (await api.call("GET", "/openapi/v2")).body;
    expect(paths["/apis/ext.io/v1/foos"].get.operationId).toBe("listFoo");
    expect(paths["/apis/other.io/v1/bars"]).toBeUndefined();
    expect(paths["/api/v1/pods"]).toBeDefined();
    expect(definitions["io.ext.Foo"].properties.spec.type).toBe("string");
    const accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    const request = new Request("http://test.internal/openapi/v2", { headers: { accept } });
    const packed = await api.api.fetch(request, { user: BOB });
    expect(packed.headers.get("content-type")).toContain("protobuf");
    expect(await packed.text()).toContain("/apis/ext.io/v1/foos");
  });

  test("talks over WebSockets with the client", async () => {
    const listener = listen({
      fetch: (request, env) =>
        api.api.fetch(request, { user: BOB, upgrade: (protocol) => env.upgrade?.(protocol) }),
      hostname: "127.0.0.1",
      port: 0,
      log: silentLog,
    });
    const url = `ws://127.0.0.1:${listener.port}/apis/ext.io/v1/namespaces/default/foos/x/console`;
    const socket = new WebSocket(url, ["v2.console", "v1.console"]);
    socket.binaryType = "arraybuffer";
    const messages: string[] = [];
    const closed = Promise.withResolvers<void>();
    socket.onmessage = ({ data }) => {
      messages.push(Buffer.from(data).toString());
      if (messages.length === 1) socket.send(new Uint8Array([104, 105]));
      else socket.close();
    };
    socket.onclose = () => closed.resolve();
    await closed.promise;
    expect(socket.protocol).toBe("v1.console");
    expect(messages).toEqual(["hello bob", "hi"]);
    await listener.stop();
  });
});

describe("a custom group", () => {
  test("has an APIService as long as it is served", async () => {
    const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    const schema = { openAPIV3Schema: { type: "object" } };
    await api.create(path, {
      metadata: { name: "bars.custom.io" },
      spec: {
        group: "custom.io",
        scope: "Namespaced",
        names: { plural: "bars", kind: "Bar" },
        versions: [{ name: "v1", served: true, storage: true, schema }],
      },
    } as object);
    await until("v1.custom.io", "Local");
    const { metadata, spec } = (await api.call("GET", `${SERVICES}/v1.custom.io`)).body;
    expect(metadata.labels).toEqual({ "kube-aggregator.kubernetes.io/automanaged": "true" });
    expect(spec.groupPriorityMinimum).toBe(1000);
    await api.call("DELETE", `${path}/bars.custom.io`);
    const isGone = async () => (await api.call("GET", `${SERVICES}/v1.custom.io`)).code === 404;
    await eventually("it is gone", 60_000, isGone);
  });
});
