/**
 * Pods as a shell script would start them: a namespace, the CNI bridge, `nerdctl run`. What this
 * machine can do without an API, a scheduler, records or a status: the yardstick of a burst.
 */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { whenOver } from "#test/bench/ends.ts";
import { imageOf } from "#test/bench/image.ts";
import { must, tidy } from "#test/bench/programs.ts";
import type { PrivateContainerd } from "#test/support/containerd.ts";

/** At once; 2 to 4 gave the most pods a second on two cores. */
const AT_ONCE = 3;
const BRIDGE = "bram-byhand0";
const NAMESPACE = "byhand";
/** The first three of four numbers. */
const SUBNET = "10.215.0.";

const network = (dir: string): string =>
  JSON.stringify({
    cniVersion: "0.4.0",
    name: "byhand",
    type: "bridge",
    bridge: BRIDGE,
    isGateway: true,
    hairpinMode: true,
    ipam: {
      type: "host-local",
      dataDir: join(dir, "leases"),
      ranges: [[{ subnet: `${SUBNET}0/24` }]],
      routes: [{ dst: "0.0.0.0/0" }],
    },
  });

const cni = (dir: string, plugins: string, command: string): string =>
  `CNI_COMMAND=${command} CNI_CONTAINERID=$p CNI_NETNS=/run/netns/$p CNI_IFNAME=eth0 ` +
  `CNI_PATH=${plugins} ${plugins}/bridge < ${dir}/net.json >/dev/null`;

async function namespaces(): Promise<string[]> {
  const lines = (await tidy(["ip", "netns", "list"])).split("\n");
  return lines
    .map((line) => line.split(" ")[0] ?? "")
    .filter((name) => name.startsWith(`${NAMESPACE}-`));
}

/** Of this measurement, or of one that was killed. */
export async function dropByHand(): Promise<void> {
  for (const name of await namespaces()) await tidy(["ip", "netns", "del", name]);
  await tidy(["sh", "-c", `ip link del ${BRIDGE} 2>/dev/null || true`]);
}

export class ByHand {
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** In a folder that goes after the containerd: what ends with that still writes into it. */
  static async open(containerd: PrivateContainerd, parent: string): Promise<ByHand> {
    whenOver(dropByHand);
    const dir = join(parent, "byhand");
    mkdirSync(dir);
    const plugins = process.env["CNI_PATH"] ?? "/usr/lib/cni";
    const at = ["--address", containerd.address, "--namespace", NAMESPACE];
    const nerdctl = ["nerdctl", ...at, "--data-root", `${dir}/nerdctl`];
    const { name, path } = await imageOf();
    const own = `--network ns:/run/netns/$p --hostname $p --log-driver file://${dir}/$p.log`;
    const run = `run -d --pull never ${own} --annotation io.containerd.runc.v2.group=$p`;
    const scripts = {
      start: [
        "ip netns add $p",
        cni(dir, plugins, "ADD"),
        `${nerdctl.join(" ")} ${run} --label byhand=$p ${name} sleep 100000 >/dev/null`,
      ],
      stop: [cni(dir, plugins, "DEL"), "ip netns del $p"],
    };
    writeFileSync(`${dir}/net.json`, network(dir));
    for (const [script, lines] of Object.entries(scripts)) {
      writeFileSync(`${dir}/${script}`, `#!/bin/sh -e\np=$1\n${lines.join("\n")}\n`);
      chmodSync(`${dir}/${script}`, 0o755);
    }
    const remove = `${nerdctl.join(" ")} ps -aq | xargs -r ${nerdctl.join(" ")} rm -f`;
    writeFileSync(`${dir}/remove`, `#!/bin/sh -e\n${remove} >/dev/null\n`, { mode: 0o755 });
    await must([...nerdctl, "load", "-i", path]);
    return new ByHand(dir);
  }

  #each(script: string, count: number, atOnce: number): Promise<string> {
    const each = `seq 1 ${count} | xargs -P ${atOnce} -I{} ${this.#dir}/${script} byhand-{}`;
    return must(["sh", "-c", each]);
  }

  /** Pods a second, from the first until the last container runs. */
  async burst(count: number): Promise<number> {
    const start = performance.now();
    try {
      await this.#each("start", count, AT_ONCE);
      return count / ((performance.now() - start) / 1000);
    } finally {
      await tidy([`${this.#dir}/remove`]);
      await this.#each("stop", count, 1);
    }
  }
}
