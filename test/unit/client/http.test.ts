import { describe, expect, test } from "bun:test";
import { type Client, isConflict, isGone, isNotFound, StatusError } from "#client/client.ts";
import { createClient, pathOf } from "#client/http.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { deployments } from "#resources/kinds/deployment.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";

interface Seen {
  method: string;
  url: string;
  body: unknown;
  type: string | null;
}

function recording(answer: () => Response): { client: Client; seen: Seen[] } {
  const seen: Seen[] = [];
  const client = createClient(async (request) => {
    const { pathname, search } = new URL(request.url);
    const text = await request.text();
    seen.push({
      method: request.method,
      url: pathname + search,
      body: text === "" ? undefined : JSON.parse(text),
      type: request.headers.get("content-type"),
    });
    return answer();
  });
  return { client, seen };
}

const ok = () => Response.json({ kind: "Pod", metadata: { name: "a", resourceVersion: "1" } });

describe("paths", () => {
  test("name the group, the namespace and the subresource", () => {
    expect(pathOf(pods, { namespace: "x", name: "a" }, "status")).toBe(
      "/api/v1/namespaces/x/pods/a/status",
    );
    expect(pathOf(deployments, {})).toBe("/apis/apps/v1/deployments");
    expect(pathOf(nodes, { namespace: "ignored", name: "n1" })).toBe("/api/v1/nodes/n1");
    expect(pathOf(configMaps, { namespace: "x", name: "a:b" })).toBe(
      "/api/v1/namespaces/x/configmaps/a%3Ab",
    );
  });
});

describe("calls", () => {
  test("create posts to the collection, with kind and options", async () => {
    const { client, seen } = recording(ok);
    await client.create(pods, { metadata: { namespace: "x", name: "a" } }, { dryRun: true });
    expect(seen[0]).toEqual({
      method: "POST",
      url: "/api/v1/namespaces/x/pods?dryRun=All",
      body: { apiVersion: "v1", kind: "Pod", metadata: { namespace: "x", name: "a" } },
      type: "application/json",
    });
  });

  test("patch names its type, apply forces", async () => {
    const { client, seen } = recording(ok);
    const options = { subresource: "status", fieldManager: "me", force: true };
    await client.patch(pods, { namespace: "x", name: "a" }, "apply", { status: {} }, options);
    expect(seen[0]?.type).toBe("application/apply-patch+yaml");
    expect(seen[0]?.url).toBe("/api/v1/namespaces/x/pods/a/status?fieldManager=me&force=true");
  });

  test("delete carries preconditions", async () => {
    const { client, seen } = recording(ok);
    const how = { uid: "u", gracePeriodSeconds: 0, propagationPolicy: "Orphan" } as const;
    await client.delete(pods, { namespace: "x", name: "a" }, how);
    expect(seen[0]?.body).toEqual({
      kind: "DeleteOptions",
      apiVersion: "v1",
      gracePeriodSeconds: 0,
      propagationPolicy: "Orphan",
      preconditions: { uid: "u" },
    });
  });

  test("list gives its items their kind", async () => {
    const items = [{ metadata: { name: "a" } }];
    const { client, seen } = recording(() =>
      Response.json({ metadata: { resourceVersion: "7", continue: "c" }, items }),
    );
    const list = await client.list(pods, { namespace: "x", labelSelector: "a=b,c", limit: 1 });
    expect(seen[0]?.url).toBe("/api/v1/namespaces/x/pods?labelSelector=a%3Db%2Cc&limit=1");
    expect(list.resourceVersion).toBe("7");
    expect(list.continue).toBe("c");
    expect(list.items[0]).toMatchObject({ apiVersion: "v1", kind: "Pod" });
  });
});

describe("refusals", () => {
  const refuse = (code: number, reason: string) => () =>
    Response.json(
      { kind: "Status", code, reason, message: "no", details: { retryAfterSeconds: 3 } },
      { status: code },
    );

  test("become StatusErrors with code, reason and time to wait", async () => {
    const { client } = recording(refuse(429, "TooManyRequests"));
    const error = await client.list(pods).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(StatusError);
    expect(error).toMatchObject({ code: 429, reason: "TooManyRequests", retryAfterSeconds: 3 });
  });

  test("get answers undefined only where nothing is", async () => {
    expect(
      await recording(refuse(404, "NotFound")).client.get(pods, { name: "a" }),
    ).toBeUndefined();
    const conflict = await recording(refuse(409, "Conflict"))
      .client.get(pods, { name: "a" })
      .catch((e: unknown) => e);
    expect(isConflict(conflict)).toBe(true);
    expect(isNotFound(conflict)).toBe(false);
  });

  test("an answer that is no Status still tells its code", async () => {
    const { client } = recording(() => new Response("bad gateway", { status: 502 }));
    const error = await client.list(pods).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 502, message: "bad gateway" });
  });
});

describe("watch", () => {
  const event = (type: string, name: string, rv: string) =>
    JSON.stringify({ type, object: { metadata: { name, resourceVersion: rv } } });

  function streaming(chunks: string[]): Client {
    const bytes = new TextEncoder();
    return createClient(async () => {
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          for (const chunk of chunks) controller.enqueue(bytes.encode(chunk));
          controller.close();
        },
      });
      return new Response(body);
    });
  }

  async function names(client: Client): Promise<string[]> {
    const out: string[] = [];
    const { signal } = new AbortController();
    for await (const { type, object } of client.watch(pods, { signal })) {
      out.push(`${type} ${object.metadata.name}`);
    }
    return out;
  }

  test("reads events however they are cut, and blank lines", async () => {
    const lines = [
      event("ADDED", "ä", "1"),
      event("MODIFIED", "b", "2"),
      event("BOOKMARK", "", "3"),
    ];
    const text = `\n${lines.join("\n")}\n`;
    expect(await names(streaming([text]))).toEqual(["ADDED ä", "MODIFIED b", "BOOKMARK "]);
    expect(await names(streaming(text.split("").map((c) => c)))).toHaveLength(3);
  });

  test("an ERROR event throws", async () => {
    const status = { kind: "Status", code: 410, reason: "Expired", message: "old" };
    const client = streaming([`${JSON.stringify({ type: "ERROR", object: status })}\n`]);
    const error = await names(client).catch((e: unknown) => e);
    expect(isGone(error)).toBe(true);
  });

  test("ends when the signal aborts", async () => {
    const client = createClient(async () => new Response(new ReadableStream({})));
    const stop = new AbortController();
    const events = client.watch(pods, { signal: stop.signal })[Symbol.asyncIterator]();
    const next = events.next();
    stop.abort();
    expect((await next).done).toBe(true);
  });
});
