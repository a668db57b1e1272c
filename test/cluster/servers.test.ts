/**
 * Two servers on one etcd, a node at each of them and one beside them: logs and exec of any pod
 * come through either server, and go on when one of them loses its power.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addressOf, until } from "#test/support/lab.ts";
import { type ServerLab, startServerLab } from "#test/support/serverlab.ts";
import { webImage } from "#test/support/webimage.ts";

const NODES = ["n1", "n2", "n3"];
const SERVERS = ["n1", "n2"];
const WRITES_MS_MAX = 10_000;
const TUNNELS_MS_MAX = 60_000;
/** What was under way at the old server is asked for again. */
const GOES_ON_MS_MAX = 60_000;
let site: ServerLab;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "bramble-servers-"));
  const image = await webImage(dir);
  site = await startServerLab({ nodes: 3, dir, images: [image] });
  for (const server of SERVERS) await site.startServer(server);
  await site.startAgent("n3", "--server", `https://${addressOf("n1")}:6443`);
  await site.readyNodes("n2", 3, 60_000);
  await site.kubectl("n2", "create", "-f", join(import.meta.dir, "servers.yaml"));
}, 270_000);

afterAll(async () => {
  await site?.down();
  rmSync(dir, { recursive: true, force: true });
}, 360_000);

/** The talker of a node, once it runs. */
const talkerOn = (server: string, node: string): Promise<string> =>
  until(`a talker runs on ${node}`, 60_000, async () => {
    const on = ["--field-selector", `spec.nodeName=${node},status.phase=Running`];
    const names = await site.kubectl(server, "get", "pods", ...on, "-o", "name");
    return names.trim() || undefined;
  });

/** The node's own words, by both ways that lead to it; throws while there is none. */
async function hear(server: string, pod: string): Promise<string> {
  const logs = await site.kubectl(server, "logs", "--tail", "1", pod);
  const exec = await site.kubectl(server, "exec", pod, "--", "sh", "-c", "echo $NODE says 0");
  return `${logs}${exec}`;
}

test("logs and exec of a pod on any node come through either server", async () => {
  for (const node of NODES) {
    const pod = await talkerOn("n1", node);
    for (const server of SERVERS) {
      const words = await until(`${server} reaches ${node}`, TUNNELS_MS_MAX, () =>
        hear(server, pod).catch(() => undefined),
      );
      expect(words).toMatch(new RegExp(`^${node} says \\d+\n${node} says 0\n$`));
    }
  }
}, 360_000);

test("the kubeconfig has a context for each server, and its own one is current", async () => {
  const read = ["--kubeconfig", "/var/lib/bramble/kubeconfig", "config"];
  const names = await until("n1 names both servers", 60_000, async () => {
    const found = await site.lab.must("n1", "kubectl", ...read, "get-contexts", "-o", "name");
    return found.includes("bramble-n2") && found;
  });
  expect(names.trim().split("\n")).toEqual(["bramble", "bramble-n1", "bramble-n2"]);
  expect(await site.lab.must("n1", "kubectl", ...read, "current-context")).toBe("bramble\n");
});

test("when a server loses its power, writes, logs and its nodes go on at the other", async () => {
  const pod = await talkerOn("n2", "n3");
  const path = join(dir, "followed.txt");
  const followed = site.follow("n2", path, "logs", "-f", "--tail", "1", pod);
  await until("the log is followed", 60_000, async () => readFileSync(path, "utf8") !== "");
  await site.lab.cut("n1");
  const cutAt = performance.now();
  const since = (what: string) =>
    console.log(`${what} ${Math.round(performance.now() - cutAt)} ms`);
  await site.kubectl("n2", "create", "configmap", "after");
  since("a write after the cut took");
  expect(performance.now() - cutAt).toBeLessThan(WRITES_MS_MAX);
  await until("n3 works with n2", GOES_ON_MS_MAX, async () => {
    const config = await site.lab.must("n3", "cat", "/var/lib/bramble/node/kubeconfig");
    return /server: (\S+)/.exec(config)?.[1] === `https://${addressOf("n2")}:6443`;
  });
  since("n3 worked with the other server after");
  // A pod that is made now shows that n3 hears what the other server says.
  await site.kubectl("n2", "delete", "--wait=false", pod);
  await until("the talker of n3 is another one", GOES_ON_MS_MAX, async () => {
    const now = await talkerOn("n2", "n3");
    return now !== pod && (await hear("n2", now).catch(() => undefined));
  });
  expect(followed.exitCode === null || followed.exitCode === 0).toBe(true);
  const lines = readFileSync(path, "utf8").trim().split("\n");
  expect(lines.length).toBeGreaterThan(3);
  since("all was over after");
}, 360_000);
