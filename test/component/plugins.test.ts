/** Device plugins over real sockets; the plugins are played here. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Plugins } from "#agents/kubelet/plugins.ts";
import type { PodRecord } from "#agents/kubelet/types.ts";
import { silentLog } from "#base/log.ts";
import type { Pod } from "#resources/types.gen.ts";
import { type PlayedPlugin, playPlugin, registerPlugin } from "#test/support/deviceplugin.ts";
import { eventually } from "#test/support/instance.ts";

const RESOURCE = "example.com/thing";

let dir: string;
let plugins: Plugins;
let plugin: PlayedPlugin;
let changes = 0;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "bramble-plugins-"));
  changes = 0;
  writeFileSync(join(dir, "stale.sock"), "");
  plugins = new Plugins({ dir, log: silentLog, changed: () => changes++ });
  plugins.start();
  plugin = await playPlugin(dir, "thing.sock", "/etc/hostname");
  plugin.tell({ a: true, b: true, c: false });
});

afterEach(() => {
  plugin.close();
  plugins.stop();
  rmSync(dir, { recursive: true, force: true });
});

const podOf = (...counts: number[]): Pod => ({
  spec: {
    containers: counts.map((count, i) => ({
      name: `c${i}`,
      resources: { limits: { [RESOURCE]: String(count) } },
    })),
  },
});

const offered = (count: number) =>
  eventually(`${count} devices`, 60_000, async () => plugins.capacity()[RESOURCE] === count);

test("what is well is offered, as it comes and goes, and nothing without the plugin", async () => {
  await registerPlugin(dir, "thing.sock", RESOURCE);
  await offered(2);
  plugin.tell({ a: true, b: true, c: true });
  await offered(3);
  plugin.close();
  await offered(0);
  expect(changes).toBeGreaterThan(2);
});

test("containers get devices of their own, and what the plugin says of them", async () => {
  await registerPlugin(dir, "thing.sock", RESOURCE);
  await offered(2);
  const first = plugins.assign(podOf(1), []);
  expect(first).toEqual({ c0: { [RESOURCE]: ["a"] } });
  const taken = [{ plugged: first } as unknown as PodRecord];
  expect(plugins.assign(podOf(1), taken)).toEqual({ c0: { [RESOURCE]: ["b"] } });
  expect(plugins.assign(podOf(1, 1), taken)).toBeUndefined();
  expect(plugins.assign(podOf(3), [])).toBeUndefined();
  expect(await plugins.grants(first?.["c0"])).toEqual([
    {
      env: [{ name: "DEVICE_IDS", value: "a" }],
      mounts: [{ source: "/etc/hostname", target: "/plugged", readOnly: true }],
      devices: ["/dev/null:/dev/thing:rw"],
    },
  ]);
  expect(plugin.asked).toEqual(["a"]);
  expect(await plugins.grants(undefined)).toEqual([]);
});

test("a plugin of another version, a name of Kubernetes' own, or a path is refused", async () => {
  for (const [endpoint, resource] of [
    ["thing.sock", "cpu"],
    ["thing.sock", "kubernetes.io/thing"],
    ["../thing.sock", RESOURCE],
  ] as const) {
    await expect(registerPlugin(dir, endpoint, resource)).rejects.toThrow();
  }
  expect(plugins.capacity()).toEqual({});
});

test("what another kubelet serves is left to it", async () => {
  const other = new Plugins({ dir, log: silentLog, changed: () => {} });
  other.start();
  await registerPlugin(dir, "thing.sock", RESOURCE);
  await offered(2);
  expect(other.capacity()).toEqual({});
  other.stop();
  await registerPlugin(dir, "thing.sock", RESOURCE);
});
