/**
 * A cluster of two architectures: n1 is this machine's (amd64), n2 has the programs of a board for
 * 64-bit ARM, bramble and nerdctl, run by qemu. containerd, runc and the CNI plugins of n2 are this
 * machine's: they do as their callers say. Containers of n2 are ARM's.
 *
 *   bun run test:mixed
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { pauseProgram } from "#agents/kubelet/pause.ts";
import { type LabCluster, startCluster } from "#test/support/cluster.ts";
import { arm64Programs, type Foreign, SYSROOT } from "#test/support/foreign.ts";
import { makeImage } from "#test/support/images.ts";
import { mustRun } from "#test/support/instance.ts";
import { addressOf, BRAMBLE, until } from "#test/support/lab.ts";
import { startRegistry } from "#test/support/registry.ts";

const ROOT = join(import.meta.dir, "../..");
const SET_UP_MS_MAX = 600_000;
const WAIT_MS_MAX = 120_000;
/** Where the lab's laptop serves images. */
const HUB = "192.168.77.1:5000";

let dir: string;
let cluster: LabCluster;
let foreign: Foreign | undefined;
/** Starts n2's agent. */
let startBoard: () => Subprocess;
const children: Subprocess[] = [];

/** Says what it is built for and its host's name; then serves the same, unless it has arguments. */
const PROGRAM = `package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
)

func main() {
	name, _ := os.Hostname()
	said := runtime.GOARCH + " " + name + "\\n"
	fmt.Print(said)
	if len(os.Args) > 1 {
		return
	}
	listener, err := net.Listen("tcp", ":8080")
	if err != nil {
		panic(err)
	}
	for {
		peer, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go func() {
			peer.Read(make([]byte, 4096))
			fmt.Fprint(peer, "HTTP/1.0 200 OK\\r\\n\\r\\n", said)
			peer.Close()
		}()
	}
}
`;

/** The program for that architecture. */
async function built(arch: string): Promise<string> {
  const [source, out] = [join(dir, "show.go"), join(dir, `show-${arch}`)];
  writeFileSync(source, PROGRAM);
  const env = { CGO_ENABLED: "0", GOARCH: arch };
  await mustRun(["go", "build", "-o", out, source], { env, timeoutMs: SET_UP_MS_MAX });
  return out;
}

function imageOf(program: string, arch: string): string {
  const tar = `${program}.tar`;
  const args = ["--scratch", "--file", `${program}:/show`, "--arch", arch, "--cmd", "/show"];
  makeImage(tar, { name: "bramble.test/show:1", args });
  return tar;
}

/** Images of all kinds in a folder that a registry can serve. */
async function pushImages(to: string, its: Foreign): Promise<void> {
  const registry = await startRegistry();
  try {
    const own = await built("amd64");
    const arm = await built("arm64");
    const runs = its.marked(arm, join(dir, "show-arm64-marked"));
    await registry.push(imageOf(own, "amd64"), "site/show:amd64");
    await registry.push(imageOf(runs, "arm64"), "site/show:arm64");
    await registry.index("site/show", "both", ["amd64", "arm64"]);
    await registry.index("site/show", "turned", ["arm64", "amd64"]);
    await registry.index("site/show", "old", ["amd64"]);
    await registry.index("site/show", "new", ["arm64"]);
    // Built on the wrong machine, and said to be for this one.
    writeFileSync(join(dir, "mislabelled"), readFileSync(arm), { mode: 0o755 });
    await registry.push(imageOf(join(dir, "mislabelled"), "amd64"), "site/show:mislabelled");
    await registry.push(imageOf(arm, "arm64"), "site/show:foreign");
    await mustRun(["cp", "-r", registry.dataDir, to]);
  } finally {
    await registry.close();
  }
}

async function serveImages(data: string): Promise<void> {
  const config = join(dir, "registry.yml");
  const storage = `storage: { filesystem: { rootdirectory: ${data} } }`;
  writeFileSync(config, `version: 0.1\n${storage}\nhttp: { addr: "${HUB}" }\n`);
  const log = join(dir, "registry.log");
  children.push(cluster.lab.spawn("lan", log, "docker-registry", "serve", config));
  await until("the registry answers", WAIT_MS_MAX, async () => {
    return (await cluster.lab.exec("lan", "curl", "-fs", `http://${HUB}/v2/`)).exitCode === 0;
  });
}

beforeAll(async () => {
  for (const [need, by] of Object.entries({ "docker-registry": "docker-registry", go: "Go" })) {
    if (Bun.which(need) === null) throw new Error(`${by} is missing`);
  }
  // A lab node sees the machine's /tmp, not its /var/lib or /run.
  dir = mkdtempSync(join(tmpdir(), "bramble-mixed-"));
  const hosts = join(dir, "hosts");
  mkdirSync(join(hosts, HUB), { recursive: true });
  writeFileSync(join(hosts, HUB, "hosts.toml"), `server = "http://${HUB}"\n`);
  foreign = await arm64Programs(dir, [pauseProgram("arm64")]);
  const raw = [join(dir, "bramble-raw"), join(dir, "nerdctl-raw")] as const;
  const limit = { timeoutMs: SET_UP_MS_MAX };
  await mustRun(["env", "-C", ROOT, "bun", "tools/build.ts", raw[0], "bun-linux-arm64"], limit);
  const env = { GOARCH: "arm64" };
  await mustRun([join(ROOT, "install/nerdctl.sh"), "--to", raw[1]], { env, ...limit });
  const bramble = foreign.marked(raw[0], join(dir, "bramble"));
  const nerdctl = foreign.marked(raw[1], join(dir, "nerdctl"));
  await pushImages(join(dir, "images"), foreign);
  cluster = await startCluster({ nodes: 2, dir });
  await serveImages(join(dir, "images"));
  await cluster.startServer({ flags: ["--registry-hosts-dirs", hosts] });
  const token = (await cluster.lab.must("n1", BRAMBLE, "token", "create")).trim();
  // qemu knows too few options of sockets for mDNS.
  const server = ["--server", `https://${addressOf("n1")}:6443`, "--disable", "discovery"];
  const argv = [bramble, "agent", "--token", token, ...server];
  const flags = ["--nerdctl", nerdctl, "--registry-hosts-dirs", hosts];
  const program = ["env", `QEMU_LD_PREFIX=${SYSROOT}`, ...argv, ...flags];
  startBoard = () => {
    const child = cluster.lab.spawn("n2", join(dir, `n2-${children.length}.log`), ...program);
    children.push(child);
    return child;
  };
  startBoard();
  await cluster.readyNodes(2, WAIT_MS_MAX);
}, SET_UP_MS_MAX);

afterAll(async () => {
  for (const child of children) child.kill();
  await Promise.all(children.map((child) => child.exited));
  await cluster?.down();
  await foreign?.close();
  rmSync(dir, { recursive: true, force: true });
}, WAIT_MS_MAX);

const read = (path: string, ...argv: string[]): Promise<string> =>
  cluster.kubectl("get", ...argv, "-o", `jsonpath=${path}`);

async function apply(...objects: object[]): Promise<void> {
  const file = join(dir, "objects.json");
  writeFileSync(file, JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
  await cluster.kubectl("apply", "-f", file);
}

const podSpec = (tag: string, more: object = {}) => ({
  terminationGracePeriodSeconds: 1,
  automountServiceAccountToken: false,
  containers: [{ name: "main", image: `${HUB}/site/show:${tag}` }],
  ...more,
});

const onArch = (arch: string) => ({ nodeSelector: { "kubernetes.io/arch": arch } });

const pod = (name: string, tag: string, more: object) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name },
  spec: podSpec(tag, more),
});

/** A Deployment of two, or a DaemonSet, whose pods are ready once they serve. */
function workload(kind: "Deployment" | "DaemonSet", name: string, tag: string, more: object = {}) {
  const readinessProbe = { tcpSocket: { port: 8080 }, periodSeconds: 1 };
  const spec = podSpec(tag, more);
  const containers = spec.containers.map((each) => ({ ...each, readinessProbe }));
  const labels = { app: name };
  const template = { metadata: { labels }, spec: { ...spec, containers } };
  const count = kind === "Deployment" ? { replicas: 2 } : {};
  return {
    apiVersion: "apps/v1",
    kind,
    metadata: { name },
    spec: { ...count, selector: { matchLabels: labels }, template },
  };
}

/** Pods of an app and their nodes. */
async function placed(app: string): Promise<[pod: string, node: string][]> {
  const path = "{range .items[*]}{.metadata.name} {.spec.nodeName}{'\\n'}{end}";
  const lines = (await read(path, "pods", "-l", `app=${app}`)).trim().split("\n");
  return lines
    .map((line) => line.split(" ") as [string, string])
    .sort((a, b) => (a[1] < b[1] ? -1 : 1));
}

/** What the program of a pod says. */
const saidBy = (pod: string, node: string) => `${node === "n1" ? "amd64" : "arm64"} ${pod}\n`;

const rolledOut = (of: string) =>
  cluster.kubectl("rollout", "status", of, `--timeout=${WAIT_MS_MAX / 1000}s`);

test("each node says what it is", async () => {
  const path = (of: string) =>
    `{range .items[*]}{.metadata.name} {.metadata.labels.${of}}{' '}{.status.nodeInfo.architecture}{'\\n'}{end}`;
  for (const label of ["kubernetes\\.io/arch", "beta\\.kubernetes\\.io/arch"]) {
    expect(await read(path(label), "nodes")).toBe("n1 amd64 amd64\nn2 arm64 arm64\n");
  }
});

test(
  "what chooses an architecture goes there",
  async () => {
    const terms = [
      { matchExpressions: [{ key: "kubernetes.io/arch", operator: "In", values: ["arm64"] }] },
    ];
    const required = {
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms },
    };
    await apply(
      workload("Deployment", "boards", "arm64", onArch("arm64")),
      workload("Deployment", "affine", "arm64", { affinity: { nodeAffinity: required } }),
      workload("DaemonSet", "big", "amd64", onArch("amd64")),
      pod("nowhere", "both", onArch("riscv64")),
    );
    for (const of of ["deployment/boards", "deployment/affine", "daemonset/big"])
      await rolledOut(of);
    const nodes = async (app: string) => (await placed(app)).map(([, node]) => node);
    expect(await nodes("boards")).toEqual(["n2", "n2"]);
    expect(await nodes("affine")).toEqual(["n2", "n2"]);
    expect(await nodes("big")).toEqual(["n1"]);
    const why = "{.status.conditions[?(@.type=='PodScheduled')].message}";
    expect(await read(why, "pod", "nowhere")).toContain(
      "2 node(s) didn't match Pod's node affinity/selector",
    );
  },
  3 * WAIT_MS_MAX,
);

test(
  "containers of a board's pod share its processes",
  async () => {
    const sharing = { shareProcessNamespace: true, ...onArch("arm64") };
    await apply(pod("sharing", "arm64", sharing));
    await cluster.kubectl("wait", "--for=condition=Ready", "pod/sharing", "--timeout=60s");
    const at = await read("{.status.containerStatuses[0].containerID}", "pod", "sharing");
    const id = at.replace("containerd://", "");
    const tasks = (await cluster.lab.must("n2", "ctr", "-n", "bramble", "tasks", "ls")).split("\n");
    const pid = tasks.find((line) => line.startsWith(id))?.split(/\s+/)[1];
    // The first of these processes is the one that waits for all.
    const status = await cluster.lab.must("n2", "cat", `/proc/${pid}/status`);
    expect(Number(/^NSpid:.*\t(\d+)$/m.exec(status)?.[1])).toBeGreaterThan(1);
  },
  WAIT_MS_MAX,
);

test(
  "an image for both is that of the node, and its pods are within reach",
  async () => {
    await apply(
      workload("DaemonSet", "both", "both"),
      workload("DaemonSet", "turned", "turned"),
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: "both" },
        spec: {
          type: "NodePort",
          selector: { app: "both" },
          ports: [{ port: 80, targetPort: 8080, nodePort: 30080 }],
        },
      },
      {
        apiVersion: "networking.k8s.io/v1",
        kind: "Ingress",
        metadata: { name: "both" },
        spec: { defaultBackend: { service: { name: "both", port: { number: 80 } } } },
      },
    );
    for (const app of ["both", "turned"]) {
      await rolledOut(`daemonset/${app}`);
      const pods = await placed(app);
      expect(pods.map(([, node]) => node)).toEqual(["n1", "n2"]);
      for (const [name, node] of pods) {
        const said = saidBy(name, node);
        expect(await cluster.kubectl("logs", name)).toBe(said);
        expect(await cluster.kubectl("exec", name, "--", "/show", "once")).toBe(said);
      }
    }
    const all = (await placed("both")).map(([name, node]) => saidBy(name, node).trim());
    const ip = await read("{.spec.clusterIP}", "service", "both");
    // The Service by either node's rules, its node port, and the Ingress that the board serves.
    for (const [node, host] of [
      ["n1", ip],
      ["n2", ip],
      ["lan", `${addressOf("n2")}:30080`],
      ["lan", addressOf("n2")],
    ] as const) {
      await until(`all of ${all} answer ${node} at ${host}`, WAIT_MS_MAX, async () => {
        const script = `for i in $(seq 20); do curl -fsS --max-time 20 http://${host}/; done`;
        const answers = (await cluster.lab.must(node, "sh", "-c", script)).trim().split("\n");
        return [...new Set(answers)].sort().join() === all.join();
      });
    }
    const name = ["+short", "@10.43.0.10", "both.default.svc.cluster.local"];
    for (const node of ["n1", "n2"]) {
      expect((await cluster.lab.must(node, "dig", ...name)).trim(), `asked on ${node}`).toBe(ip);
    }
  },
  3 * WAIT_MS_MAX,
);

/** Waits for the pod's container to say that it waits for this reason. */
const waitsFor = (name: string, reason: string) =>
  until(`${name}: ${reason}`, WAIT_MS_MAX, async () => {
    const waiting = "{.status.containerStatuses[0].state.waiting}";
    const said = await read(waiting, "pod", name);
    return said.includes(`"reason":"${reason}"`) && said;
  });

test(
  "an image of another architecture is refused in words that say so",
  async () => {
    await apply(
      pod("old", "old", onArch("arm64")),
      pod("new", "new", onArch("amd64")),
      pod("foreign", "foreign", onArch("amd64")),
      pod("mislabelled", "mislabelled", onArch("amd64")),
    );
    for (const name of ["old", "new"]) {
      expect(await waitsFor(name, "ImagePullBackOff")).toContain(
        "no match for platform in manifest",
      );
      const events = ["events", "--for", `pod/${name}`, "--types", "Warning"];
      expect(await cluster.kubectl(...events)).toContain("no match for platform in manifest");
    }
    // An image for one architecture is not looked at, as everywhere: it is the program that fails.
    for (const name of ["foreign", "mislabelled"]) {
      await waitsFor(name, "CrashLoopBackOff");
      expect(await cluster.kubectl("logs", name)).toContain("exec format error");
    }
  },
  3 * WAIT_MS_MAX,
);

test(
  "a program for the wrong architecture is refused before a node is emptied",
  async () => {
    const board = join(dir, "bramble");
    const upgrade = (...argv: string[]) =>
      cluster.lab.exec("n1", BRAMBLE, "upgrade", "--cluster", ...argv);
    expect(await upgrade("--program", `arm64=${BRAMBLE}`)).toMatchObject({
      exitCode: 1,
      stdout: "",
      stderr: `bramble: ${BRAMBLE} is for amd64, and not for arm64\n`,
    });
    expect(await upgrade(board)).toMatchObject({
      exitCode: 1,
      stdout: "",
      stderr: `bramble: ${board} is for arm64, and not for amd64\n`,
    });
  },
  WAIT_MS_MAX,
);

test(
  "the board's agent starts again, and its containers run on",
  async () => {
    const ids = "{range .items[*]}{.status.containerStatuses[*].containerID}{'\\n'}{end}";
    // Those of DaemonSets: others may be made elsewhere meanwhile, as qemu starts slowly.
    const running = () => read(ids, "pods", "-l", "app in (both,turned)");
    const before = await running();
    const ofBoard = ["pgrep", "-f", "^/usr/bin/qemu-aarch64-static .*bramble agent"];
    expect((await cluster.lab.exec("n2", ...ofBoard)).exitCode).toBe(0);
    const first = children.at(-1);
    first?.kill();
    await first?.exited;
    await until("the board's agent has ended", WAIT_MS_MAX, async () => {
      return (await cluster.lab.exec("n2", ...ofBoard)).exitCode === 1;
    });
    startBoard();
    await until("the board runs a new pod", WAIT_MS_MAX, async () => {
      await apply(workload("Deployment", "later", "both", onArch("arm64")));
      return (await read("{.status.readyReplicas}", "deployment/later")) === "2";
    });
    expect(await running()).toBe(before);
  },
  2 * WAIT_MS_MAX,
);
