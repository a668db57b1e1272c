/**
 * From a Debian without any of our packages and without a network to a node, and back, under a real
 * systemd: `install.sh` from a bundle, its unit, and `uninstall.sh`.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { eventually, mustRun } from "#test/support/instance.ts";
import { type Machine, type Site, startSite } from "#test/support/nspawn.ts";
import pkg from "../../package.json";
import { type Bundle, differences, makeBundle, mustHaveNspawn, stateOf } from "./machine.ts";

const ROOT = join(import.meta.dir, "../..");
const STEP_MS_MAX = 120_000;
const READY_MS_MAX = 10_000;

let site: Site;
let bundle: Bundle;
let server: Machine;
let agent: Machine;
let before: string[];

beforeAll(async () => {
  mustHaveNspawn();
  bundle = await makeBundle();
  site = await startSite(["a", "b"]);
  [server, agent] = site.machines as [Machine, Machine];
  await Promise.all(site.machines.map((machine) => bundle.unpack(machine)));
  before = await stateOf(server);
}, 300_000);

afterAll(async () => {
  await site?.close();
  bundle?.close();
}, STEP_MS_MAX);

const pidOf = async (machine: Machine): Promise<string> =>
  (await machine.must("systemctl show -p MainPID --value bramble")).trim();

test(
  "a dry run says each thing and does none of it",
  async () => {
    const said = await server.must("/root/bundle/install.sh --server --token br1.x --dry-run");
    for (const words of [
      /^would install .*containerd.* from the bundle$/m,
      /^would write \/usr\/local\/bin\/bramble$/m,
      /^would write \/etc\/systemd\/system\/bramble.service$/m,
      /^would set token in \/etc\/bramble\/config.yaml$/m,
      /^would start bramble$/m,
      /^would load the images of web.tar$/m,
    ]) {
      expect(said).toMatch(words);
    }
    expect(differences(before, await stateOf(server))).toEqual([]);
  },
  STEP_MS_MAX,
);

test(
  "offline, from nothing to a ready node that serves",
  async () => {
    await server.must("/root/bundle/install.sh --server");
    expect(await server.must("bramble get nodes --no-headers")).toMatch(/^\S+\s+Ready\s/);
    await server.must("bramble apply -f /root/web.yaml");
    await server.must("bramble rollout status deployment/web --timeout 60s");
    const answers = await server.must(
      "exec 3<>/dev/tcp/127.0.0.1/6443 && bramble get pods --no-headers",
    );
    expect(answers.match(/1\/1\s+Running/g)).toHaveLength(3);
  },
  STEP_MS_MAX,
);

test(
  "the unit is confined, tells that it is ready, and is watched over",
  async () => {
    const score = await server.must("systemd-analyze security --no-pager bramble.service");
    const exposure = Number(/exposure level for \S+: ([\d.]+)/.exec(score)?.[1]);
    expect(exposure).toBeGreaterThan(0);
    expect(exposure).toBeLessThan(5);
    const shown = await server.must("systemctl show bramble -p StatusText -p NRestarts");
    expect(shown).toContain("StatusText=serving on port 6443");
    expect(shown).toContain("NRestarts=0");
    // A process that does not answer is replaced.
    const extra = "/run/systemd/system/bramble.service.d";
    await server.must(`mkdir -p ${extra}
      printf '[Service]\\nWatchdogSec=2\\nRestartSec=0\\n' >${extra}/x.conf
      systemctl daemon-reload && systemctl restart bramble`);
    const pid = await pidOf(server);
    await server.must(`kill -STOP ${pid}`);
    await eventually("another process", 20_000, async () => {
      const { exitCode } = await server.exec("bramble get nodes");
      return exitCode === 0 && (await pidOf(server)) !== pid;
    });
    await server.must("rm -r /run/systemd/system/bramble.service.d; systemctl daemon-reload");
    await server.must("systemctl restart bramble");
  },
  STEP_MS_MAX,
);

test(
  "its limits are those of the unit, and its lines are journald's",
  async () => {
    const pid = await pidOf(server);
    // As near to the unit's as this machine lets its root go.
    const wanted = await server.must(`ulimit -n 1048576 2>/dev/null || true
      ulimit -u unlimited 2>/dev/null || true
      echo -900 2>/dev/null >/proc/self/oom_score_adj || true
      n=$(ulimit -Hn) u=$(ulimit -Hu); printf '%s\\n' "$n $n" "$u $u" "0 0"
      cat /proc/self/oom_score_adj`);
    const found = await server.must(`for what in "open files" processes "core file size"; do
      sed -n "s/^Max $what  *\\([^ ]*\\)  *\\([^ ]*\\) .*/\\1 \\2/p" /proc/${pid}/limits
      done; cat /proc/${pid}/oom_score_adj`);
    expect(found).toBe(wanted);
    expect(await server.must("systemctl show bramble -p TasksMax")).toBe("TasksMax=infinity\n");
    await server.must("/root/bundle/install.sh --set log-level=debug");
    const journal = "journalctl -u bramble -o json --no-pager";
    await eventually("lines of two weights", 20_000, async () => {
      const found = new Set<string>();
      for (const line of (await server.must(journal)).trim().split("\n")) {
        const entry = JSON.parse(line) as Record<string, string>;
        if (entry["SYSLOG_IDENTIFIER"] === "bramble") found.add(entry["PRIORITY"] ?? "");
      }
      return found.has("7") && found.has("6");
    });
    expect(await server.must("journalctl -u bramble -o cat --no-pager")).not.toMatch(/^<\d>/m);
    await server.must("/root/bundle/install.sh --set log-level=info");
  },
  STEP_MS_MAX,
);

test(
  "a program that cannot start is tried often, and then no more until it is asked to",
  async () => {
    const extra = "/run/systemd/system/bramble.service.d";
    const shown = "systemctl show bramble -p ActiveState,Result,NRestarts";
    await server.must(`cp /etc/bramble/config.yaml /root/good.yaml
      echo 'https-port: "none"' >>/etc/bramble/config.yaml
      mkdir -p ${extra} && printf '[Service]\\nRestartSec=0\\n' >${extra}/x.conf
      systemctl daemon-reload && systemctl stop bramble && systemctl reset-failed bramble
      systemctl start bramble || true`);
    await eventually("systemd gives up", 60_000, async () => {
      return (await server.must(shown)).includes("ActiveState=failed");
    });
    expect(await server.must(shown)).toMatch(/^NRestarts=20$/m);
    expect(await server.must("journalctl -u bramble -n 30 -o cat --no-pager")).toMatch(
      /^bramble: .*https-port.*\n/m,
    );
    await server.must(`rm -r ${extra} && cp /root/good.yaml /etc/bramble/config.yaml
      systemctl daemon-reload && systemctl reset-failed bramble && systemctl start bramble`);
    await eventually("three pods are ready", 30_000, async () => {
      const { stdout } = await server.exec("bramble get pods --no-headers");
      return stdout.match(/1\/1\s+Running/g)?.length === 3;
    });
  },
  STEP_MS_MAX,
);

test(
  "run again it changes nothing, and pods live through restarts of the service",
  async () => {
    const pid = await pidOf(server);
    const said = await server.must("/root/bundle/install.sh");
    expect(said).not.toContain("==>");
    expect(await pidOf(server)).toBe(pid);
    const running = await shimsOf(server);
    expect(running.trim().split("\n").length).toBeGreaterThanOrEqual(3);
    await server.must("/root/bundle/install.sh --set log-level=debug");
    expect(await pidOf(server)).not.toBe(pid);
    await server.must("systemctl kill -s KILL bramble");
    await eventually("it is back", 20_000, async () => {
      const { exitCode } = await server.exec("bramble get nodes");
      return exitCode === 0;
    });
    expect(await shimsOf(server)).toBe(running);
  },
  STEP_MS_MAX,
);

test(
  "a second board joins with a token alone",
  async () => {
    const token = (await server.must("bramble token create")).trim();
    await agent.must(`/root/bundle/install.sh --agent --token ${token}`);
    await eventually("two nodes are ready", 30_000, async () => {
      const nodes = await server.must("bramble get nodes --no-headers");
      return nodes.match(/\sReady\s/g)?.length === 2;
    });
    const again = await agent.exec("/root/bundle/install.sh --server");
    expect(again.stderr).toContain("this machine is a bramble agent; uninstall.sh first");
  },
  STEP_MS_MAX,
);

const shimsOf = (machine: Machine) => machine.must("pgrep -x containerd-shim | sort");

/** Says a version and ends at once where it should serve. */
const fake = (version: string): string => `#!/bin/sh
[ "$1" = version ] && { echo '{"clientVersion":{"gitVersion":"v${version}"}}'; exit; }
exit 3
`;

test(
  "another version takes its place node by node, and one that does not come up is taken back",
  async () => {
    const next = join(server.disk, "root/next");
    const build = ["bun", "tools/build.ts", next];
    await mustRun(["env", "--chdir", ROOT, "BRAMBLE_BUILD_VERSION=0.2.0", ...build]);
    await mustRun(["cp", next, join(agent.disk, "root/next")]);
    const ahead = await agent.exec("/root/next upgrade");
    expect([ahead.exitCode, ahead.stderr]).toEqual([
      1,
      `bramble: not upgraded: a node of 0.2.0 under a server of ${pkg.version}: upgrade the server first\n`,
    ]);
    await server.must("/root/next upgrade --cluster");
    const nodes = await server.must("bramble get nodes --no-headers");
    expect(nodes.match(/\sReady\s.*bramble-0\.2\.0/g)).toHaveLength(2);

    for (const version of ["0.2.1", "0.4.0"]) {
      await Bun.write(join(server.disk, "root", version), fake(version));
      await server.must(`chmod +x /root/${version}`);
    }
    const shims = await shimsOf(server);
    const broken = await server.exec("bramble upgrade /root/0.2.1");
    expect(broken.exitCode).toBe(1);
    expect(broken.stderr).toMatch(/^bramble: 0\.2\.1 did not come up: .*; 0\.2\.0 runs again$/m);
    const far = await server.exec("bramble upgrade /root/0.4.0");
    expect(far.stderr).toContain("0.2.0 to 0.4.0: one minor version at a time; first to 0.3");
    expect(await server.must("bramble version")).toContain("+bramble-0.2.0");
    expect(await shimsOf(server)).toBe(shims);
  },
  STEP_MS_MAX,
);

test(
  "at the machine's end pods end in their own way, and after it they are there again",
  async () => {
    await server.must(`cat >/root/last.yaml <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: last}
spec:
  nodeName: ${server.name}
  containers:
    - name: last
      image: bramble.local/web:1
      imagePullPolicy: Never
      command: [sh, -c, "trap 'echo ended >/data/word; exit 0' TERM; while :; do sleep 0.1; done"]
      volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, hostPath: {path: /root/data, type: DirectoryOrCreate}}]
YAML
bramble apply -f /root/last.yaml && bramble wait --for=condition=Ready pod/last --timeout 60s`);
    await server.off();
    expect(await Bun.file(`${server.disk}/root/data/word`).text()).toBe("ended\n");
    await server.boot();
    await eventually("all pods are ready again", 60_000, async () => {
      const { stdout } = await server.exec("bramble get pods --no-headers");
      return stdout.match(/1\/1\s+Running/g)?.length === 4;
    });
  },
  STEP_MS_MAX,
);

test(
  "uninstalled, the machine is as before, and the data is there where it was to be kept",
  async () => {
    await server.must("rm -r /root/data");
    const said = await server.must("/root/bundle/uninstall.sh --dry-run");
    expect(said).toContain("would remove /usr/local/bin/bramble");
    await server.must("/usr/local/lib/bramble/uninstall.sh --keep-data --keep-packages");
    expect(await server.must("ls /var/lib/bramble/state.db")).toContain("state.db");
    await server.must("mv /root/next /root/bundle/bramble && rm /root/bundle/SHA256SUMS");
    const startMs = performance.now();
    await server.must("/root/bundle/install.sh --server");
    const tookMs = performance.now() - startMs;
    console.log(`install.sh with packages in place to a ready node: ${Math.round(tookMs)} ms`);
    expect(tookMs).toBeLessThan(READY_MS_MAX);
    expect(await server.must("bramble get deployment web -o name")).toContain("web");
    await server.must("/root/bundle/uninstall.sh");
    // The packages of the first time were left there, as asked.
    await server.must("dpkg --purge containerd runc conntrack kmod");
    await server.must("rm -rf /var/lib/containerd /etc/containerd /opt/containerd");
    expect(differences(before, await stateOf(server))).toEqual([]);

    await agent.must("/usr/local/lib/bramble/uninstall.sh");
    expect(await agent.must("ls /etc/bramble /var/lib/bramble 2>&1 || true")).toMatch(/No such/);
    expect(await agent.must("command -v containerd || echo none")).toBe("none\n");
  },
  STEP_MS_MAX,
);
