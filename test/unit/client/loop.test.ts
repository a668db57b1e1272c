import { describe, expect, test } from "bun:test";
import { createLog, type Log } from "#base/log.ts";
import { createCaches } from "#client/cache.ts";
import { type Controller, type Plan, trigger } from "#client/controller.ts";
import { runController } from "#client/loop.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { events } from "#resources/kinds/event.ts";
import { secrets } from "#resources/kinds/secret.ts";
import type { Stored } from "#resources/meta.ts";
import type { ConfigMap, Secret } from "#resources/types.gen.ts";
import { fakeClock } from "#test/support/clock.ts";
import { FakeApi } from "#test/support/fakeapi.ts";

interface State {
  root: Stored<ConfigMap>;
  children: ReadonlyArray<Stored<Secret>>;
}

const owner = (secret: Secret) => secret.metadata?.labels?.["of"] ?? "";

/** Keeps as many Secrets as the ConfigMap says: a ReplicaSet in small. */
function keeper(more: Partial<Controller<State>> = {}): Controller<State> {
  return {
    name: "keeper",
    kind: configMaps,
    triggers: [trigger(secrets, (secret) => [`x/${owner(secret)}`])],
    read(key, { caches }) {
      const root = caches.of(configMaps).get(key);
      if (root === undefined) return undefined;
      const all = caches.of(secrets).list(root.metadata.namespace);
      return { root, children: all.filter((child) => owner(child) === root.metadata.name) };
    },
    plan({ root, children }): Plan {
      const wanted = Number(root.data?.["count"] ?? 0);
      const metadata = {
        namespace: "x",
        generateName: "s-",
        labels: { of: root.metadata.name },
      };
      const object: Secret = { metadata };
      const create = { do: "create", kind: secrets, object } as const;
      const actions = [];
      for (let i = children.length; i < wanted; i++) actions.push(create);
      const surplus = children.slice(wanted).map((child) => ({
        do: "delete" as const,
        kind: secrets,
        ref: { namespace: "x", name: child.metadata.name },
        options: { uid: child.metadata.uid },
      }));
      return { actions: [...actions, ...surplus] };
    },
    ...more,
  };
}

function setup(controller: Controller<State> = keeper()) {
  const api = new FakeApi();
  const clock = fakeClock();
  const lines: string[] = [];
  const log: Log = createLog({
    level: "warn",
    format: "text",
    now: () => 0,
    write: (line) => lines.push(line),
  });
  const caches = createCaches({ client: api.client, clock, log });
  const stop = new AbortController();
  const random = { next: () => 0.5, uuid: () => "u", bytes: (n: number) => new Uint8Array(n) };
  const start = () =>
    runController(controller, {
      client: api.client,
      caches,
      clock,
      random,
      log,
      signal: stop.signal,
    });
  const secretCount = () =>
    [...api.objects.keys()].filter((key) => key.includes("/secrets/")).length;
  const root = (count: number, name = "a") =>
    api.put(configMaps, { metadata: { namespace: "x", name }, data: { count: String(count) } });
  return { api, clock, caches, stop, start, lines, secretCount, root };
}

describe("the loop", () => {
  test("reaches what is wanted, from the first list and from changes", async () => {
    const t = setup();
    t.root(3);
    t.start();
    await t.clock.advance(100);
    expect(t.secretCount()).toBe(3);
    t.root(1);
    await t.clock.advance(100);
    expect(t.secretCount()).toBe(1);
    t.stop.abort();
    t.root(5);
    await t.clock.advance(1000);
    expect(t.secretCount()).toBe(1);
    t.caches.stop();
  });

  test("does not create twice while its cache is behind", async () => {
    const t = setup();
    t.start();
    await t.clock.advance(100);
    t.api.held = "secrets";
    t.root(4);
    await t.clock.advance(100);
    expect(t.secretCount()).toBe(4);
    // Wakes the key while none of the four is in the cache.
    for (let i = 0; i < 5; i++) {
      t.root(4);
      await t.clock.advance(100);
    }
    expect(t.secretCount()).toBe(4);
    t.api.release();
    await t.clock.advance(100);
    expect(t.secretCount()).toBe(4);
    t.caches.stop();
    t.stop.abort();
  });

  test("has a cache whose watch is silent list again, and makes nothing twice", async () => {
    const t = setup();
    t.start();
    await t.clock.advance(100);
    t.api.held = "secrets";
    t.root(1);
    await t.clock.advance(1000);
    t.root(1);
    await t.clock.advance(30_000);
    expect(t.secretCount()).toBe(1);
    t.root(2);
    await t.clock.advance(30_000);
    expect(t.secretCount()).toBe(2);
    t.caches.stop();
    t.stop.abort();
  });

  test("asks for what may have been made, before it makes it again", async () => {
    let made = 0;
    const plain = keeper();
    const named = keeper({
      // A name of its own for each try, as ReplicaSets give their pods.
      plan(state, now) {
        const { actions } = plain.plan(state, now);
        return {
          actions: actions.map((action) => {
            if (action.do !== "create") return action;
            const metadata = { ...action.object.metadata, name: `s-${made++}` };
            return { ...action, object: { ...action.object, metadata } };
          }),
        };
      },
    });
    const t = setup(named);
    t.start();
    await t.clock.advance(100);
    t.api.held = "secrets";
    let lost = 0;
    t.api.lose = (method) => method === "POST" && lost++ === 0;
    t.root(1);
    await t.clock.advance(3000);
    expect([made, t.secretCount()]).toEqual([1, 1]);
    t.caches.stop();
    t.stop.abort();
  });

  test("notices what was deleted while the watch was away", async () => {
    const t = setup();
    t.root(2);
    t.start();
    await t.clock.advance(100);
    t.api.cut();
    for (const key of [...t.api.objects.keys()]) if (key.includes("secrets")) t.api.remove(key);
    t.api.compacted = t.api.revision;
    await t.clock.advance(1000);
    expect(t.secretCount()).toBe(2);
    t.caches.stop();
    t.stop.abort();
  });

  test("tries again with back-off and logs the key", async () => {
    const t = setup();
    let tries = 0;
    t.api.fault = (method) => {
      if (method !== "POST") return undefined;
      tries++;
      return Response.json({ kind: "Status", code: 500, message: "disk full" }, { status: 500 });
    };
    t.root(1);
    t.start();
    await t.clock.advance(1000);
    expect(tries).toBeGreaterThan(3);
    expect(tries).toBeLessThan(12);
    expect(t.lines[0]).toContain("key=x/a");
    expect(t.lines[0]).toContain("disk full");
    t.api.fault = undefined;
    await t.clock.advance(60_000);
    expect(t.secretCount()).toBe(1);
    t.caches.stop();
    t.stop.abort();
  });

  test("conflicts are tried again without a line in the log", async () => {
    const t = setup();
    let conflicts = 3;
    t.api.fault = (method) => {
      if (method !== "POST" || conflicts-- <= 0) return undefined;
      return Response.json({ kind: "Status", code: 409, reason: "Conflict" }, { status: 409 });
    };
    t.root(1);
    t.start();
    await t.clock.advance(1000);
    expect(t.secretCount()).toBe(1);
    expect(t.lines).toEqual([]);
    t.caches.stop();
    t.stop.abort();
  });

  test("starts slowly where the API refuses: one create, not hundreds", async () => {
    const t = setup();
    let tries = 0;
    t.api.fault = (method) => {
      if (method !== "POST") return undefined;
      tries++;
      return Response.json({ kind: "Status", code: 403, reason: "Forbidden" }, { status: 403 });
    };
    t.root(500);
    t.start();
    await t.clock.settle();
    expect(tries).toBe(1);
    t.caches.stop();
    t.stop.abort();
  });

  test("tells of a refusal as the controller words it", async () => {
    const t = setup(
      keeper({
        failed: ({ root }, failure) => [
          { do: "event", about: root, type: "Warning", reason: "Failed", message: failure.message },
        ],
      }),
    );
    t.api.fault = (method, path) =>
      method === "POST" && path.endsWith("secrets")
        ? Response.json({ kind: "Status", code: 403, message: "quota" }, { status: 403 })
        : undefined;
    t.root(1);
    t.start();
    await t.clock.advance(3000);
    const told = (await t.api.client.list(events)).items;
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({
      reason: "Failed",
      message: "quota",
      involvedObject: { kind: "ConfigMap", name: "a", namespace: "x" },
    });
    expect(told[0]?.count).toBeGreaterThan(2);
    t.caches.stop();
    t.stop.abort();
  });

  test("looks again after againMs", async () => {
    const runs: number[] = [];
    const t = setup(
      keeper({
        plan: (_, now) => {
          runs.push(now);
          return { actions: [], againMs: 1000 };
        },
      }),
    );
    t.root(0);
    t.start();
    await t.clock.advance(3500);
    expect(runs).toHaveLength(4);
    t.caches.stop();
    t.stop.abort();
  });

  test("wakes the keys that a plan names", async () => {
    let runs = 0;
    const t = setup(
      keeper({
        read: (key) => key as never,
        plan: (key) => {
          runs++;
          return String(key) === "x/a" ? { actions: [], wake: ["x/b", "x/c"] } : { actions: [] };
        },
      }),
    );
    t.root(0);
    t.start();
    await t.clock.advance(3500);
    expect(runs).toBe(3);
    t.caches.stop();
    t.stop.abort();
  });

  test("one key runs once at a time, different keys side by side up to the bound", async () => {
    const t = setup(keeper({ parallel: 2 }));
    let open = 0;
    let most = 0;
    const slow = t.api.client.create.bind(t.api.client);
    t.api.client.create = async (...args) => {
      most = Math.max(most, ++open);
      await new Promise<void>((done) => t.clock.after(50, done));
      open--;
      return slow(...args);
    };
    for (const name of ["a", "b", "c", "d"]) t.root(1, name);
    t.start();
    await t.clock.advance(1000);
    expect(most).toBe(2);
    expect(t.secretCount()).toBe(4);
    t.caches.stop();
    t.stop.abort();
  });

  test("a burst of changes is a few runs", async () => {
    let runs = 0;
    const base = keeper();
    const t = setup(
      keeper({
        plan: (state, now) => {
          runs++;
          return base.plan(state, now);
        },
      }),
    );
    t.root(200);
    t.start();
    await t.clock.advance(2000);
    expect(t.secretCount()).toBe(200);
    expect(runs).toBeLessThan(12);
    t.caches.stop();
    t.stop.abort();
  });

  test("a stopped one listens to nothing any more", async () => {
    let listening = 0;
    const t = setup(
      keeper({
        grow: (_, listen) => {
          listen(trigger(events, () => ["x/a"]));
        },
      }),
    );
    const { of } = t.caches;
    t.caches.of = (kind, query) => {
      const cache = of(kind, query);
      return Object.assign(Object.create(cache), {
        onChange: (listener: Parameters<typeof cache.onChange>[0]) => {
          listening++;
          const end = cache.onChange(listener);
          return () => {
            listening--;
            end();
          };
        },
        whenSynced: () => cache.whenSynced(),
        list: (namespace?: string) => cache.list(namespace),
        get: (key: string) => cache.get(key),
        seen: (key: string, version: string) => cache.seen(key, version),
        synced: cache.synced,
      });
    };
    t.start();
    await t.clock.settle();
    expect(listening).toBe(3);
    t.stop.abort();
    expect(listening).toBe(0);
    t.caches.stop();
  });
});
