/** What clients do to a socket, well-meaning or not: the API's own HTTP on a real TLS port. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createPrivateKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { connect, type TLSSocket } from "node:tls";
import { gunzipSync } from "node:zlib";
import { limits } from "#base/limits.ts";
import { requestCertificate } from "#base/x509.ts";
import { ADMIN_TOKEN } from "#test/support/api.ts";
import { fakeClock } from "#test/support/clock.ts";
import { eventually } from "#test/support/instance.ts";
import { startServer, type TestServer } from "#test/support/server.ts";

const clock = fakeClock();
let server: TestServer;
beforeAll(async () => {
  server = await startServer({ listenerClock: clock });
});
afterAll(() => server.stop());

interface Identity {
  key: string;
  cert: string;
}

class Raw {
  readonly socket: TLSSocket;
  text = "";
  ended = false;
  constructor(identity?: Identity) {
    this.socket = connect({ port: server.port, host: "127.0.0.1", ca: server.caPem, ...identity });
    this.socket.on("data", (bytes) => {
      this.text += bytes.toString("latin1");
    });
    this.socket.on("close", () => {
      this.ended = true;
    });
    this.socket.on("error", () => {});
  }
  send(...lines: string[]): void {
    this.socket.write(lines.join("\r\n"));
  }
  async until(pattern: RegExp): Promise<string> {
    return eventually(`${pattern}`, 60_000, async () => pattern.exec(this.text)?.[0]);
  }
  over(): Promise<boolean> {
    return eventually("the end of the connection", 60_000, async () => this.ended);
  }
}

const AUTH = `Authorization: Bearer ${ADMIN_TOKEN}`;
const MAPS = "/api/v1/namespaces/default/configmaps";
const get = (path: string, ...more: string[]) =>
  [`GET ${path} HTTP/1.1`, "Host: api", AUTH, ...more, "", ""] as const;

describe("requests on one connection", () => {
  test("follow each other, also when they are sent at once", async () => {
    const raw = new Raw();
    raw.send(...get("/api/v1/namespaces/default"));
    raw.send(...get("/api/v1/namespaces/kube-system"));
    raw.send(...get("/api/v1/namespaces/none", "Connection: close"));
    await raw.over();
    const codes = [...raw.text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, code]) => code);
    expect(codes).toEqual(["200", "200", "404"]);
    expect(raw.text.indexOf('"name":"default"')).toBeLessThan(raw.text.indexOf('"name":"kube-sys'));
  });

  test("may have their body in chunks, in pieces, and wait for a 100", async () => {
    const raw = new Raw();
    const body = JSON.stringify({ metadata: { name: "chunked" }, data: { a: "b" } });
    raw.send(
      `POST ${MAPS} HTTP/1.1`,
      "Host: api",
      AUTH,
      "Content-Type: application/json",
      "Transfer-Encoding: chunked",
      "Expect: 100-continue",
      "",
      "",
    );
    await raw.until(/100 Continue/);
    for (const part of [body.slice(0, 10), body.slice(10)]) {
      raw.send(part.length.toString(16), part, "");
    }
    raw.send("0", "", "");
    await raw.until(/HTTP\/1\.1 201 Created/);
    raw.socket.destroy();
  });

  test("of HEAD get no body; of HTTP/1.0 the end of the connection", async () => {
    const raw = new Raw();
    raw.send("HEAD /version HTTP/1.1", "Host: api", AUTH, "", "");
    raw.send("GET /api/v1/namespaces HTTP/1.0", AUTH, "", "");
    await raw.over();
    const [head = "", list = ""] = raw.text.split(/(?<=\r\n\r\n)(?=HTTP)/);
    expect(head).toEndWith("\r\n\r\n");
    expect(list).not.toContain("chunked");
    expect(JSON.parse(list.slice(list.indexOf("\r\n\r\n")))).toMatchObject({
      kind: "NamespaceList",
    });
  });
});

describe("bounds", () => {
  test.each<[string, number, string[]]>([
    ["a header too large", 431, [`A: ${"x".repeat(limits.requestHeadBytesMax)}`]],
    ["a body that says it is too large", 413, [`Content-Length: ${10 * 1024 * 1024}`]],
    ["a malformed header", 400, ["A b"]],
    ["an unknown coding", 501, ["Transfer-Encoding: br"]],
  ])("%s gets %i as a Status, and the end", async (_, code, lines) => {
    const raw = new Raw();
    raw.send(`POST ${MAPS} HTTP/1.1`, "Host: api", AUTH, ...lines, "", "");
    await raw.over();
    expect(raw.text).toStartWith(`HTTP/1.1 ${code} `);
    expect(JSON.parse(raw.text.slice(raw.text.indexOf("\r\n\r\n")))).toMatchObject({
      kind: "Status",
      code,
    });
  });

  test("a body in chunks without end is cut off", async () => {
    const raw = new Raw();
    raw.send(`POST ${MAPS} HTTP/1.1`, "Host: api", AUTH, "Transfer-Encoding: chunked", "", "");
    const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
    for (let count = 0; count < 60; count += 1) raw.socket.write(chunk);
    await raw.over();
    expect(raw.text).toStartWith("HTTP/1.1 413 ");
  });

  test("who takes too long to ask is let go; an idle connection lives on", async () => {
    const slow = new Raw();
    const idle = new Raw();
    slow.send("GET /version HTTP/1.1", "Host: api");
    idle.send(...get("/version"));
    await idle.until(/gitVersion/);
    await eventually("the slow head is there", 60_000, async () => slow.socket.bytesWritten > 20);
    // The server may take a while to see the connection at all, and counts from then.
    await eventually("the slow one is let go", 60_000, async () => {
      await clock.advance(limits.requestHeadMsMax + limits.connectionSweepMs + 1);
      return slow.ended;
    });
    idle.text = "";
    idle.send(...get("/version"));
    await idle.until(/gitVersion/);
    idle.socket.destroy();
  });

  test("a list that nobody reads is kept waiting, and comes whole in the end", async () => {
    for (let at = 0; at < 60; at += 1) {
      const data = { text: randomBytes(150_000).toString("base64") };
      await server.create(MAPS, { metadata: { name: `big-${at}` }, data } as object);
    }
    for (const coding of ["identity", "gzip"]) {
      const raw = new Raw();
      raw.socket.pause();
      raw.send(`GET ${MAPS} HTTP/1.0`, AUTH, `Accept-Encoding: ${coding}`, "", "");
      await Bun.sleep(100);
      raw.socket.resume();
      await raw.over();
      const body = Buffer.from(raw.text.slice(raw.text.indexOf("\r\n\r\n") + 4), "latin1");
      const text = (coding === "gzip" ? gunzipSync(body) : body).toString();
      expect(text.match(/"name":"big-\d+"/g)).toHaveLength(60);
      expect(JSON.parse(text).kind).toBe("ConfigMapList");
    }
  }, 360_000);

  test.each([15, 40, 1_200])(
    "a list of %d objects is the same as within the process",
    async (many) => {
      const namespace = `list-${many}`;
      await server.create("/api/v1/namespaces", { metadata: { name: namespace } } as object);
      const path = `/api/v1/namespaces/${namespace}/configmaps`;
      const one = (at: number) => ({
        metadata: { name: `m${at}` },
        data: { text: "ä€😀".repeat(40) },
      });
      await Promise.all(Array.from({ length: many }, (_, at) => server.create(path, one(at))));
      const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
      const answer = await fetch(server.url + path, { headers, tls: { ca: server.caPem } });
      expect(answer.headers.has("content-length")).toBe(many < 1_000);
      const text = await answer.text();
      const inside = await server.api.fetch(new Request(`http://inside${path}`, { headers }));
      expect(text).toBe(await inside.text());
      const plain = { ...headers, "accept-encoding": "identity" };
      const same = await fetch(server.url + path, { headers: plain, tls: { ca: server.caPem } });
      expect(await same.text()).toBe(text);
      expect(JSON.parse(text).items).toHaveLength(many);
    },
  );

  test("a long list asked for again and again is as it was, or as it came to be", async () => {
    await server.create("/api/v1/namespaces", { metadata: { name: "again" } } as object);
    const path = "/api/v1/namespaces/again/configmaps";
    const one = (at: number) => ({
      metadata: { name: `m${at}` },
      data: { text: "ä€".repeat(1_500) },
    });
    const numbers = Array.from({ length: 900 }, (_, at) => at);
    await Promise.all(numbers.map((at) => server.create(path, one(at))));
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
    const both = async (query: string) => {
      const inside = await server.api.fetch(new Request(`http://in${path}${query}`, { headers }));
      const text = await inside.text();
      for (const coding of ["gzip", "identity"]) {
        const asked = { ...headers, "accept-encoding": coding };
        const options = { headers: asked, tls: { ca: server.caPem } };
        const outside = await fetch(server.url + path + query, options);
        const packed = coding === "gzip" && text.length > limits.gzipNearBytesMin;
        expect(packed).toBe(coding === "gzip" && query !== "?limit=100");
        expect(outside.headers.get("content-encoding")).toBe(packed ? "gzip" : null);
        expect(await outside.text()).toBe(text);
      }
    };
    for (let round = 0; round < 4; round += 1) {
      for (const query of ["", "?limit=400", "?limit=100", "?resourceVersion=0", ""])
        await both(query);
      const raw = new Raw();
      raw.send(`GET ${path} HTTP/1.0`, AUTH, "", "");
      await raw.over();
      const body = JSON.parse(
        Buffer.from(raw.text, "latin1").toString().split("\r\n\r\n")[1] ?? "",
      );
      expect(body.items).toHaveLength(900 - round);
      await server.call("DELETE", `${path}/m${round * 250}`);
      const labels = { metadata: { labels: { round: `${round}` } } };
      const merge = { headers: { "content-type": "application/merge-patch+json" } };
      await server.call("PATCH", `${path}/m${round * 250 + 100}`, labels, merge);
    }
  }, 20_000);

  test("a watch that ends leaves its connection to the next request", async () => {
    const raw = new Raw();
    raw.send(...get("/api/v1/namespaces?watch=1&timeoutSeconds=1"));
    raw.send(...get("/api/v1/namespaces/kube-public", "Connection: close"));
    await raw.over();
    const [, watched = "", next = ""] = raw.text.split("HTTP/1.1 200 OK");
    expect(watched).toContain('"name":"kube-system"');
    expect(watched).toEndWith("\r\n0\r\n\r\n");
    expect(next).toContain('"name":"kube-public"');
  });

  test("a watcher that stops reading is cut, and another one hears all", async () => {
    await server.create("/api/v1/namespaces", { metadata: { name: "loud" } } as object);
    const path = "/api/v1/namespaces/loud/configmaps";
    const [lazy, eager] = [new Raw(), new Raw()];
    for (const raw of [lazy, eager]) {
      raw.send(...get(`${path}?watch=1&resourceVersion=0`));
      await raw.until(/HTTP\/1\.1 200/);
    }
    lazy.socket.pause();
    const many = 60;
    const data = { text: "x".repeat(500_000) };
    for (let at = 0; at < many; at++) {
      await server.create(path, { metadata: { name: `m${at}` }, data } as object);
    }
    const heard = (raw: Raw): number => raw.text.match(/"name":"m\d+"/g)?.length ?? 0;
    await eventually("all is heard", 25_000, async () => heard(eager) === many);
    lazy.socket.resume();
    await lazy.over();
    expect(heard(lazy)).toBeLessThan(many);
    eager.socket.destroy();
  }, 40_000);

  test("a client that goes away ends its watch", async () => {
    const raw = new Raw();
    raw.send(...get(`${MAPS}?watch=1&resourceVersion=0`));
    await raw.until(/HTTP\/1\.1 200/);
    const watchers = async () => {
      const { text } = await server.call("GET", "/metrics");
      return Number(/apiserver_longrunning_requests\S*\{?[^}]*\}? (\d+)/.exec(text)?.[1] ?? "0");
    };
    expect(await watchers()).toBe(1);
    raw.socket.destroy();
    await eventually("the watch is over", 60_000, async () => (await watchers()) === 0);
  });
});

function identityOf(user: string, groups: string[], uses: ("client auth" | "server auth")[]) {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const csr = requestCertificate({
    key: createPrivateKey(key),
    subject: { commonName: user, organizations: groups },
    altNames: { dns: [], ips: [] },
  });
  return { key, cert: server.pki.signCertificate(csr, { usages: uses, days: 30 }) };
}

const REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const BODY = '{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}';

async function whoIs(identity: Identity | undefined, ...headers: string[]): Promise<string> {
  const raw = new Raw(identity);
  const length = `Content-Length: ${BODY.length}`;
  raw.send(
    `POST ${REVIEW} HTTP/1.1`,
    "Host: api",
    length,
    "Connection: close",
    ...headers,
    "",
    BODY,
  );
  await raw.over();
  const answer = JSON.parse(raw.text.slice(raw.text.indexOf("\r\n\r\n")));
  const { username, groups } = answer.status?.userInfo ?? {};
  return username === undefined ? `${answer.code}` : `${username} ${groups.join(",")}`;
}

describe("client certificates", () => {
  test("name the user and the groups", async () => {
    const jane = identityOf("jane", ["devs", "ops"], ["client auth"]);
    expect(await whoIs(jane)).toBe("jane devs,ops,system:authenticated");
    expect(await whoIs(identityOf("solo", [], ["client auth"]))).toBe("solo system:authenticated");
  });

  test("come before a token; without one a token is good", async () => {
    const jane = identityOf("jane", [], ["client auth"]);
    expect(await whoIs(jane, AUTH)).toBe("jane system:authenticated");
    expect(await whoIs(undefined, AUTH)).toStartWith("admin ");
    expect(await whoIs(undefined)).toBe("401");
  });

  test("of another authority, for servers, or ended, name nobody", async () => {
    const other = await startServer();
    try {
      const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
      const keyPem = key.export({ type: "pkcs8", format: "pem" }).toString();
      const csr = requestCertificate({
        key,
        subject: { commonName: "evil", organizations: ["system:masters"] },
        altNames: { dns: [], ips: [] },
      });
      const cert = other.pki.signCertificate(csr, { usages: ["client auth"], days: 1 });
      expect(await whoIs({ key: keyPem, cert })).toBe("401");
      expect(await whoIs({ key: keyPem, cert }, AUTH)).toStartWith("admin ");
    } finally {
      await other.stop();
    }
    expect(await whoIs(identityOf("server", [], ["server auth"]))).toBe("401");
    const jane = identityOf("jane", [], ["client auth"]);
    expect(await whoIs(jane)).toStartWith("jane ");
    clock.jump(Date.now() + 31 * 24 * 3600 * 1000 - clock.now());
    expect(await whoIs(jane)).toBe("401");
  });
});
