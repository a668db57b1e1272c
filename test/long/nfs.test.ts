/**
 * NFS volumes from a real server: Linux's own, in a virtual machine whose kernel has server and
 * client, beside `bramble server`. The kernel that tests run on may have neither.
 *
 *   bun test --timeout 900000 ./test/long/nfs.test.ts
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { imageName, Machine } from "#test/power/machine.ts";
import { eventually, mustRun } from "#test/support/instance.ts";

/** Programs in the machine are twenty times slower than here. */
const WAIT_MS_MAX = 240_000;
const PACKAGES = [
  "nfs-kernel-server",
  "nfs-common",
  "libnfsidmap1",
  "libtirpc3",
  "libevent-core-2.1-7",
  "libwrap0",
];
const SHARE = "/var/lib/share";

let dir: string;
let machine: Machine;

/** Programs and libraries are only in the machine's own root, which is in its memory. */
const serve = (): string => `set -e
cp ${dir}/sbin/mount.nfs /sbin/
cp -a ${dir}/usr/lib/x86_64-linux-gnu/lib*.so* ${dir}/lib/x86_64-linux-gnu/lib*.so* \\
  /usr/lib/x86_64-linux-gnu/
for module in nfsd nfsv4 nfs; do modprobe $module; done
mount -t nfsd nfsd /proc/fs/nfsd
mkdir -p ${SHARE}/sub /var/lib/nfs/v4recovery
touch /var/lib/nfs/etab /var/lib/nfs/rmtab
echo hello >${SHARE}/file
echo '${SHARE} *(rw,fsid=0,no_subtree_check,no_root_squash,insecure)' >/etc/exports
${dir}/usr/sbin/exportfs -ra
${dir}/usr/sbin/rpc.mountd -N 2 -N 3
${dir}/usr/sbin/rpc.nfsd -N 3 -V 4 2
`;

beforeAll(async () => {
  // Seen in the machine, which has a /tmp of its own.
  dir = mkdtempSync("/opt/bramble-nfs-");
  await mustRun(["sh", "-c", `cd ${dir} && apt-get -q download ${PACKAGES.join(" ")}`]);
  await mustRun(["sh", "-c", `cd ${dir} && for each in *.deb; do dpkg-deb -x $each .; done`]);
  writeFileSync(join(dir, "serve"), serve());
  machine = await Machine.make(1);
  await machine.exec(["sh", join(dir, "serve")]);
  await eventually("a kubeconfig", WAIT_MS_MAX, async () => {
    await machine.takeKubeconfig();
    return true;
  });
  await eventually("the server is ready", WAIT_MS_MAX, async () => {
    return (await machine.kubectl(["get", "--raw", "/readyz"])) === "ok";
  });
}, 600_000);

afterAll(async () => {
  await machine?.close();
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

const pod = (name: string, script: string, volumes: object[]): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      volumes: volumes.map((volume, at) => ({ name: `v${at}`, ...volume })),
      containers: [
        {
          name: "main",
          image: imageName(0),
          command: ["sh", "-c", `${script}; exec sleep 1000000`],
          volumeMounts: volumes.map((_, at) => ({ name: `v${at}`, mountPath: `/v${at}` })),
        },
      ],
    },
  });

const nfs = (path: string, readOnly = false) => ({
  nfs: { server: "127.0.0.1", path, readOnly },
});

const logWith = (name: string, text: string) =>
  eventually(`${text} in the log of ${name}`, WAIT_MS_MAX, async () => {
    return (await machine.kubectl(["logs", name])).includes(text);
  });

async function nfsMounts(): Promise<string[]> {
  const lines = (await machine.exec(["cat", "/proc/mounts"])).split("\n");
  return lines.filter((line) => / nfs4? /.test(line));
}

/** Without a grace it is gone at once; what is left of it on the node a little later. */
const gone = async (name: string) => {
  await machine.kubectl(["delete", "pod", name, "--wait=false"]);
  await eventually(`the end of ${name}`, WAIT_MS_MAX, async () => {
    const found = await machine.kubectl(["get", "pods", "--ignore-not-found", name]);
    return found === "";
  });
  await eventually("the end of its mounts", WAIT_MS_MAX, async () => {
    return (await nfsMounts()).length === 0;
  });
};

test("a pod reads and writes an NFS server's files, and leaves no mount", async () => {
  const script =
    "cat /v0/file; echo from-pod >/v0/sub/out; touch /v1/no 2>&1; cat /v1/sub/out; echo done";
  await machine.kubectl(["apply", "-f", "-"], pod("direct", script, [nfs("/"), nfs("/", true)]));
  await logWith("direct", "done");
  const log = await machine.kubectl(["logs", "direct"]);
  expect(log).toContain("hello");
  expect(log).toContain("Read-only file system");
  expect(log).toContain("from-pod");
  expect(await machine.exec(["cat", `${SHARE}/sub/out`])).toBe("from-pod\n");
  expect((await nfsMounts()).length).toBeGreaterThan(0);
  await gone("direct");
}, 600_000);

const claim = `{"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "share"},
  "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"],
    "storageClassName": "", "mountOptions": ["vers=4.2", "soft"],
    "nfs": {"server": "127.0.0.1", "path": "/sub"}}}
---
{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "share"},
  "spec": {"accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeName": "share",
    "resources": {"requests": {"storage": "1Gi"}}}}
`;

test("a claim's pod waits, with its reason, until the server is there", async () => {
  await machine.exec(["sh", "-c", `${dir}/usr/sbin/rpc.nfsd 0`]);
  for (const object of claim.split("---\n")) {
    await machine.kubectl(["apply", "-f", "-"], object);
  }
  const volume = { persistentVolumeClaim: { claimName: "share" } };
  const script = "echo claimed >/v0/claim; echo done";
  await machine.kubectl(["apply", "-f", "-"], pod("claimed", script, [volume]));
  const told = await eventually("FailedMount", WAIT_MS_MAX, async () => {
    const flags = ["--field-selector", "involvedObject.name=claimed,reason=FailedMount"];
    return (await machine.kubectl(["get", "events", ...flags, "-o", "name"])) !== "";
  });
  expect(told).toBe(true);
  await machine.exec(["sh", "-c", `${dir}/usr/sbin/rpc.nfsd -N 3 -V 4 2`]);
  await logWith("claimed", "done");
  expect(await machine.exec(["cat", `${SHARE}/sub/claim`])).toBe("claimed\n");
  const [mount = ""] = await nfsMounts();
  expect(mount).toMatch(/vers=4\.2.*,soft,/);
  await gone("claimed");
}, 900_000);
