/**
 * A node far from its server: it follows the server's new address; without a server it keeps pods,
 * Services, DNS and Ingress going, also over a power cut of its own, and changes nothing that it
 * need not.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LabCluster, startCluster } from "#test/support/cluster.ts";
import { addressOf, quickest, until } from "#test/support/lab.ts";
import { webImage } from "#test/support/webimage.ts";

const MOVED_MS_MAX = 15_000;
/** A new one for each try. */
const NEW_ADDRESSES = ["192.168.77.77", "192.168.77.78", "192.168.77.79"];
const SECRET = "a-secret-greeting";
let cluster: LabCluster;
let dir: string;
let serviceIp = "";
let address = "";

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "bramble-away-"));
  const image = await webImage(dir);
  cluster = await startCluster({ nodes: 2, dir, images: [image] });
  await cluster.startServer();
  await cluster.startAgent("n2");
  await cluster.readyNodes(2, 60_000);
  await cluster.kubectl("create", "-f", join(import.meta.dir, "away.yaml"));
  serviceIp =
    (await cluster.kubectl("get", "svc", "away", "-o", "jsonpath={.spec.clusterIP}")) ?? "";
}, 180_000);

afterAll(async () => {
  await cluster?.down();
  rmSync(dir, { recursive: true, force: true });
});

const onN2 = (...argv: string[]) => cluster.lab.must("n2", ...argv);
const CURL = ["curl", "-fsS", "--max-time", "10"];
const ask = () => cluster.lab.exec("n2", ...CURL, `http://${serviceIp}/`);
/** The Ingress of n2, as another machine on the LAN asks it. */
const askIngress = () =>
  cluster.lab.exec("lan", ...CURL, "-H", "Host: away.test", `http://${addressOf("n2")}/`);
const containersOnN2 = async (): Promise<string[]> => {
  const text = await onN2("nerdctl", "-n", "bramble", "ps", "-q", "--no-trunc");
  return text.split("\n").filter((line) => line !== "");
};

/** What n2's DNS answers for the Service, asked as a program on the node asks. */
async function resolved(): Promise<string> {
  const code = `const d = require("node:dns/promises"); const r = new d.Resolver();
    r.setServers(["10.43.0.10"]);
    r.resolve4("away.default.svc.cluster.local").then((a) => console.log(a.join()),
      (e) => console.log(e.code));`;
  return (await onN2(process.execPath, "-e", code)).trim();
}

async function served(limitMs: number): Promise<void> {
  await until("n2 serves the page by Service and Ingress", limitMs, async () => {
    const all = await Promise.all([ask(), askIngress()]);
    return all.every(({ stdout }) => stdout.startsWith(SECRET));
  });
}

async function podOnN2(): Promise<{ name: string; restarts: number; ready: boolean }> {
  const field = "--field-selector=spec.nodeName=n2";
  const text = await cluster.kubectl("get", "pods", field, "-l", "app=away", "-o", "json");
  const [pod] = (JSON.parse(text) as { items: PodJson[] }).items;
  const [status] = pod?.status.containerStatuses ?? [];
  return {
    name: pod?.metadata.name ?? "",
    restarts: status?.restartCount ?? -1,
    ready: status?.ready ?? false,
  };
}

interface PodJson {
  metadata: { name: string };
  status: { containerStatuses?: Array<{ restartCount: number; ready: boolean }> };
}

test("pods with Secrets and ConfigMaps run on the node", async () => {
  await served(60_000);
  expect(await resolved()).toBe(serviceIp);
}, 360_000);

test("agents follow the server to its new address within 15 s, without a restart", async () => {
  const tookMs = await quickest(MOVED_MS_MAX, async (at) => {
    address = NEW_ADDRESSES[at] ?? "";
    await cluster.lab.renumber("n1", address);
    cluster.serverAt(address);
    const started = performance.now();
    await until("n2's tunnel is open again", 90_000, async () => {
      const { name } = await podOnN2().catch(() => ({ name: "" }));
      if (name === "") return false;
      const said = await cluster.kubectl("exec", name, "--", "cat", "/page/note").catch(() => "");
      return said === "kept";
    });
    const took = performance.now() - started;
    console.log(`followed ${Math.round(took)} ms after the renumbering`);
    return took;
  });
  expect(tookMs).toBeLessThan(MOVED_MS_MAX);
  const ip = "jsonpath={.subsets[0].addresses[0].ip}";
  expect(await cluster.kubectl("get", "endpoints", "kubernetes", "-o", ip)).toBe(address);
}, 360_000);

test("without a server all that is served goes on, and what crashes is restarted", async () => {
  const before = await containersOnN2();
  expect(before).toHaveLength(1);
  await until("what n2 keeps is on its disk", 60_000, async () => {
    const fresh = ["find", "/var/lib/bramble/node/kept", "-newermt", "-3 seconds"];
    return (await onN2(...fresh)) === "";
  });
  await cluster.lab.cut("n1");
  expect((await ask()).stdout).toStartWith(SECRET);
  expect((await askIngress()).stdout).toStartWith(SECRET);
  expect(await resolved()).toBe(serviceIp);
  await onN2("nerdctl", "-n", "bramble", "kill", "-s", "KILL", ...before);
  await until("the container is started again", 60_000, async () => {
    const now = await containersOnN2();
    return now.length === 1 && now[0] !== before[0];
  });
  await served(60_000);
}, 180_000);

test("it boots its pods again after a power cut of its own, from a sealed memory", async () => {
  await cluster.lab.cut("n2");
  await cluster.lab.boot("n2");
  const started = performance.now();
  await cluster.startAgent("n2");
  await served(60_000);
  console.log(`served ${Math.round(performance.now() - started)} ms after the boot`);
  expect(await resolved()).toBe(serviceIp);
  const found = await cluster.lab.exec("n2", "grep", "-rl", SECRET, "/var/lib/bramble/node");
  expect(found).toMatchObject({ exitCode: 1, stdout: "" });
}, 180_000);

test("when the server is back nothing is restarted that did not change", async () => {
  const before = await containersOnN2();
  await cluster.lab.boot("n1");
  await cluster.lab.renumber("n1", address);
  await cluster.startServer();
  await cluster.readyNodes(2, 60_000);
  await until("the API shows the pod as it is", 60_000, async () => {
    const { ready, restarts } = await podOnN2();
    return ready && restarts === 2;
  });
  expect(await containersOnN2()).toEqual(before);
  await served(60_000);
}, 180_000);

test("what changed while a node was cut off is done when it is back, no more", async () => {
  const before = await containersOnN2();
  const extra = ["run", "extra", "--image=bramble.local/web:1", "--image-pull-policy=Never"];
  const on = JSON.stringify({ spec: { nodeName: "n2", terminationGracePeriodSeconds: 1 } });
  await cluster.kubectl(...extra, `--overrides=${on}`);
  await cluster.kubectl("wait", "--for=condition=Ready", "pod/extra", "--timeout=120s");
  await cluster.lab.partition("n2");
  await cluster.kubectl("delete", "pod", "extra", "--wait=false");
  await cluster.kubectl("patch", "configmap", "page", "-p", '{"data":{"note":"changed"}}');
  const ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
  await until("n2 is thought gone", 60_000, async () => {
    return (await cluster.kubectl("get", "node", "n2", "-o", ready)) === "Unknown";
  });
  expect(await containersOnN2()).toHaveLength(2);
  await cluster.lab.heal("n2");
  await until("the deleted pod is gone from the node and the API", 90_000, async () => {
    const now = await containersOnN2();
    const left = await cluster.kubectl("get", "pod", "extra", "--ignore-not-found");
    return now.length === 1 && left === "";
  });
  expect(await containersOnN2()).toEqual(before);
  await until("the changed ConfigMap is in the pod", 120_000, async () => {
    const { name } = await podOnN2();
    return (await cluster.kubectl("exec", name, "--", "cat", "/page/note")) === "changed";
  });
}, 400_000);
