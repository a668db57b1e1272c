/** Names and resolvers of pods, what of the kernel they see, and fields that cannot work here. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Container, PodSpec, Volume } from "#resources/types.gen.ts";
import {
  type HostKubelet,
  shell,
  startHostKubelet,
  statusOf,
  WAIT,
} from "#test/support/hostkubelet.ts";

setDefaultTimeout(300_000);

let k: HostKubelet;

const folder = mkdtempSync(join(tmpdir(), "bramble-identity-"));
const resolver = join(folder, "resolv.conf");

beforeAll(async () => {
  writeFileSync(resolver, "search of.node\nnameserver 192.0.2.53\noptions timeout:3\n");
  k = await startHostKubelet("kubelet-identity", { options: { resolvConf: resolver } });
});

afterAll(async () => {
  await k.close();
  rmSync(folder, { recursive: true });
});

test.concurrent("the whole name is the hostname where the pod asks for it", async () => {
  await k.create("named", { hostname: "h", subdomain: "s", setHostnameAsFQDN: true });
  await k.ready("named");
  const full = "h.s.default.svc.cluster.local\n";
  expect(await k.exec("named", "hostname; cat /proc/sys/kernel/hostname")).toBe(full + full);
});

test.concurrent("the resolver of the node, or the pod's own alone", async () => {
  await k.create("default", { dnsPolicy: "Default" });
  await k.create("none", {
    dnsPolicy: "None",
    dnsConfig: {
      nameservers: ["192.0.2.1", "192.0.2.2"],
      searches: ["one.test", "two.test"],
      options: [{ name: "ndots", value: "3" }, { name: "edns0" }],
    },
  });
  await k.ready("default");
  await k.ready("none");
  expect(await k.exec("default", "cat /etc/resolv.conf")).toBe(
    "search of.node\nnameserver 192.0.2.53\noptions timeout:3\n",
  );
  expect(await k.exec("none", "cat /etc/resolv.conf")).toBe(
    "search one.test two.test\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions ndots:3 edns0\n",
  );
});

test.concurrent("parts of /proc are masked; who wants them all is refused", async () => {
  const as = (name: string, procMount: string) =>
    shell(name, WAIT, { securityContext: { procMount } });
  await k.create("masked", { containers: [shell("main", WAIT), as("default", "Default")] });
  await k.ready("masked");
  for (const container of ["main", "default"]) {
    expect(await k.exec("masked", "wc -c < /proc/keys", container)).toBe("0\n");
    expect(await k.exec("masked", "grep -c ' /proc/sys ' /proc/mounts", container)).toBe("1\n");
  }
  // Without a user namespace, which containerd here has none of, it would be the machine's own.
  await expect(k.create("unmasked", { containers: [as("main", "Unmasked")] })).rejects.toThrow(
    "`hostUsers` must be false to use `Unmasked`",
  );
});

test.concurrent("resource claims are named as what the node has none of", async () => {
  const resourceClaims = [{ name: "gpu", resourceClaimName: "none" }];
  await k.create("claims", { resourceClaims });
  const told = await k.said("claims", "FailedCreatePodSandBox");
  expect(told).toContain("dynamic resource allocation is not supported on this node");
});

test.concurrent("volumes of clouds and of other systems are named", async () => {
  const sources: Record<string, Partial<Volume>> = {
    aws: { awsElasticBlockStore: { volumeID: "x" } },
    iscsi: { iscsi: { targetPortal: "192.0.2.9", iqn: "iqn.2026-01.test:x", lun: 0 } },
    git: { gitRepo: { repository: "https://192.0.2.9/x" } },
    flex: { flexVolume: { driver: "test/none" } },
    fc: { fc: { targetWWNs: ["x"], lun: 0 } },
  };
  for (const [name, source] of Object.entries(sources)) {
    await k.create(name, { volumes: [{ name: "v", ...source }] });
  }
  for (const name of Object.keys(sources)) {
    await k.said(name, "FailedMount", /this type of volume is not supported/);
  }
});

test.concurrent("what Kubernetes 1.34 has turned off is dropped by the API", async () => {
  const clusterTrustBundle = { path: "ca.pem", signerName: "example.com/signer" };
  const { spec } = await k.create("dropped", {
    volumes: [{ name: "p", projected: { sources: [{ clusterTrustBundle }] } }],
    containers: [
      shell("main", WAIT, {
        restartPolicyRules: [{ action: "Restart", exitCodes: { operator: "In", values: [1] } }],
        lifecycle: { stopSignal: "SIGUSR1" },
      } as Partial<Container>),
    ],
  } as Partial<PodSpec>);
  expect(JSON.stringify(spec)).not.toMatch(/clusterTrustBundle|restartPolicyRules|stopSignal/);
});

test.concurrent("users of containers go before that of the pod", async () => {
  const as = (name: string, securityContext: object) => shell(name, WAIT, { securityContext });
  await k.create("users", {
    securityContext: { runAsUser: 1000, runAsGroup: 1001, runAsNonRoot: true },
    containers: [
      shell("main", WAIT),
      as("user", { runAsUser: 2000 }),
      as("group", { runAsGroup: 2001 }),
      as("root", { runAsUser: 0, runAsNonRoot: false }),
      as("refused", { runAsUser: 0 }),
    ],
  });
  const ids = ["main", "user", "group", "root"];
  await k.until("users", (pod) => ids.every((name) => statusOf(pod, name)?.ready === true));
  const found = await Promise.all(
    ids.map((name) => k.exec("users", "echo $(id -u) $(id -g)", name)),
  );
  expect(found).toEqual(["1000 1001\n", "2000 1001\n", "1000 2001\n", "0 1001\n"]);
  const pod = await k.until(
    "users",
    (one) => statusOf(one, "refused")?.state?.waiting !== undefined,
  );
  expect(statusOf(pod, "refused")?.state?.waiting).toMatchObject({
    reason: "CreateContainerConfigError",
    message: expect.stringContaining("container's runAsUser breaks non-root policy"),
  });
});

test.concurrent("AppArmor is in force where there is any, else the pod is refused", async () => {
  const enabled = () => {
    try {
      return readFileSync("/sys/module/apparmor/parameters/enabled", "utf8").startsWith("Y");
    } catch {
      return false;
    }
  };
  const with_ = (type: string) => ({ securityContext: { appArmorProfile: { type } } });
  await k.create("unconfined", with_("Unconfined"));
  await k.ready("unconfined");
  await k.create("confined", with_("RuntimeDefault"));
  if (enabled()) {
    await k.ready("confined");
    expect(await k.exec("confined", "cat /proc/1/attr/current")).toContain("(enforce)");
    return;
  }
  const { status } = await k.until("confined", (pod) => pod.status?.phase === "Failed");
  expect([status?.reason, status?.message]).toEqual([
    "AppArmor",
    "Pod was rejected: Cannot enforce AppArmor: AppArmor is not enabled on the host",
  ]);
});
