/** `install/demo.sh` shows a cluster that serves, and `--down` leaves nothing of it. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { cpSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { freePlace, freePort, mustRun, run } from "#test/support/instance.ts";
import { BRAMBLE } from "#test/support/lab.ts";
import { tracesOf } from "#test/support/traces.ts";
import { instanceOf } from "../../src/main/instance.ts";

const ROOT = join(import.meta.dir, "../..");
const DEMO_MS_MAX = 360_000;

let clone: string;
let dataDir: string;
let flags: string[];
let marks: string[];

/** A place as after building: nothing is compiled here. */
beforeEach(async () => {
  clone = mkdtempSync(join(tmpdir(), "bramble-demo-"));
  cpSync(join(ROOT, "install"), join(clone, "install"), { recursive: true });
  mkdirSync(join(clone, "dist"));
  try {
    linkSync(BRAMBLE, join(clone, "dist/bramble"));
  } catch {
    // Another file system.
    cpSync(BRAMBLE, join(clone, "dist/bramble"));
  }
  dataDir = join("/var/lib", basename(clone));
  const place = await freePlace();
  flags = [
    ...["--data-dir", dataDir, "--https-port", String(await freePort())],
    ...["--node-port", String(place.nodePort), "--containerd-address", `${clone}/none.sock`],
    ...["--containerd-namespace", basename(clone), "--cluster-cidr", place.clusterCidr],
    ...["--service-cidr", place.serviceCidr],
  ];
  marks = [basename(clone), instanceOf(dataDir), `${place.clusterCidr.split(".0/")[0]}.`];
});

const demo = (...more: string[]) =>
  run([join(clone, "install/demo.sh"), ...more, ...flags], { timeoutMs: DEMO_MS_MAX });

afterEach(async () => {
  await demo("--down");
  rmSync(clone, { recursive: true, force: true });
}, DEMO_MS_MAX);

/** Apart from the folder that the demonstration was started from. */
async function traces() {
  const found = await tracesOf(marks);
  const files = (found["files"] ?? []).filter((path) => path !== clone);
  const { files: _, ...rest } = found;
  return files.length === 0 ? rest : { ...rest, files };
}

test(
  "it serves, says what to do next, and leaves nothing",
  async () => {
    expect(await traces()).toEqual({});
    const up = await demo();
    expect({ exitCode: up.exitCode, stderr: up.stderr }).toEqual({ exitCode: 0, stderr: "" });
    const answered = new Set(up.stdout.match(/hello from web-\S+/g));
    expect(answered.size).toBe(3);
    expect(up.stdout).toContain(`export KUBECONFIG=${dataDir}/kubeconfig`);
    expect(up.stdout).toContain("./install/demo.sh --down --data-dir");

    const running = await traces();
    const places = ["cgroups", "files", "iptables", "links", "mounts", "namespaces", "processes"];
    expect(Object.keys(running)).toEqual(expect.arrayContaining([...places, "routes", "run"]));
    const bridge = (running["links"] ?? []).filter((line) => line.includes(" master "));
    const pairs = bridge.map((line) => /^\d+: ([^@:]+)/.exec(line)?.[1] ?? "");
    expect(pairs).toHaveLength(3);

    const again = await demo();
    expect(again.exitCode).toBe(1);
    expect(again.stderr).toMatch(/^demo.sh: \S+ exists: a demonstration runs already/);

    const down = await demo("--down");
    expect({ exitCode: down.exitCode, stderr: down.stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(await traces()).toEqual({});
    const links = await mustRun(["ip", "-o", "link"]);
    expect(pairs.filter((name) => links.includes(` ${name}@`))).toEqual([]);
    expect((await demo("--down")).exitCode).toBe(0);
  },
  DEMO_MS_MAX,
);

test(
  "what a crash of server and containerd left is taken away as well",
  async () => {
    expect((await demo()).exitCode).toBe(0);
    const { pid } = JSON.parse(readFileSync(`${dataDir}/instance.json`, "utf8")) as { pid: number };
    for (const each of [pid, Number(readFileSync(`${dataDir}-containerd/pid`, "utf8"))]) {
      process.kill(each, "SIGKILL");
    }
    const down = await demo("--down");
    expect({ exitCode: down.exitCode, stderr: down.stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(await traces()).toEqual({});
  },
  DEMO_MS_MAX,
);

test(
  "a busy port is told, and what was begun is taken away",
  async () => {
    const taken = Bun.listen({ hostname: "0.0.0.0", port: 0, socket: { data() {} } });
    const port = flags.indexOf("--https-port") + 1;
    flags[port] = String(taken.port);
    try {
      const up = await demo();
      expect(up.exitCode).toBe(1);
      expect(up.stderr).toMatch(/^demo.sh: the server ended: cannot listen on \S+:\d+: /);
    } finally {
      taken.stop();
    }
    expect((await demo("--down")).exitCode).toBe(0);
    expect(await traces()).toEqual({});
  },
  DEMO_MS_MAX,
);
