/**
 * Injection into programs: no value of an object becomes an option, a second argument, a line or a
 * rule of its own in what a node's agent tells mount, nerdctl, iptables, nft or ip.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { containerSpec, type SpecInput } from "#agents/kubelet/containerspec.ts";
import { resolverFile } from "#agents/kubelet/files.ts";
import { planFirewall } from "#agents/network/firewall.ts";
import { planOverlay } from "#agents/network/overlay.ts";
import {
  type NetworkState,
  planNetworkRules,
  planPeers,
  planRoutes,
} from "#agents/network/plan.ts";
import { ChainNames, renderChange } from "#agents/network/restore.ts";
import { planPolicies, policyPod } from "#agents/policy/plan.ts";
import { planServices } from "#agents/proxy/plan.ts";
import { createArguments } from "#agents/runtime/args.ts";
import type { ContainerSpec } from "#agents/runtime/runtime.ts";
import { Mounts } from "#agents/volumes/mounts.ts";
import { runProcess } from "#base/process.ts";
import type { Container, Pod, PodSpec } from "#resources/types.gen.ts";
import { startApi, type TestApi } from "#test/support/api.ts";
import { plainContainer } from "#test/support/containerspec.ts";
import { podOf } from "#test/support/podstate.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startApi();
});

afterAll(() => api.close());

describe("the API rejects", () => {
  const container = (more: Partial<Container>) => ({
    containers: [{ name: "c", image: "i", ...more }],
  });
  const hostPort = (hostIP: string) =>
    container({ ports: [{ containerPort: 80, hostPort: 8080, hostIP }] });
  const nfs = (server: string) => ({
    ...container({}),
    volumes: [{ name: "v", nfs: { server, path: "/x" } }],
  });
  const capability = (name: string) =>
    container({ securityContext: { capabilities: { add: [name] } } });
  const device = (devicePath: string) => ({
    ...container({ volumeDevices: [{ name: "v", devicePath }] }),
    volumes: [{ name: "v", persistentVolumeClaim: { claimName: "v" } }],
  });
  const option = (name: string, value?: string) => ({
    ...container({}),
    dnsConfig: { options: [{ name, ...(value !== undefined && { value }) }] },
  });

  test.each<[string, object, string]>([
    ["an address of a host port with a rule", hostPort("1.2.3.4/32 -j ACCEPT"), "hostIP"],
    ["one with a line", hostPort("1.2.3.4\nCOMMIT\n*filter\n-F INPUT"), "hostIP"],
    ["one with a zone", hostPort("fe80::1%eth0"), "hostIP"],
    ["a server of NFS that is an option", nfs("--fstab=/tmp/fstab"), "nfs.server"],
    ["one with a short option", nfs("-obind"), "nfs.server"],
    ["one with a list", nfs("a,b"), "nfs.server"],
    ["one with a blank", nfs("a b"), "nfs.server"],
    ["a list of capabilities as one", capability("CHOWN,SYS_ADMIN"), "capabilities.add[0]"],
    ["a quoted capability", capability('"SYS_ADMIN"'), "capabilities.add[0]"],
    ["a list of devices as one", device("/dev/x,/dev/sda"), "devicePath"],
    ["a device with a mode", device("/dev/x:rwm"), "devicePath"],
    ["a relative device", device("-x"), "devicePath"],
    [
      "an option of the resolver with a line",
      option("a\nnameserver 6.6.6.6"),
      "dnsConfig.options[0].name",
    ],
    ["a value of one", option("ndots", "2\nnameserver 6.6.6.6"), "dnsConfig.options[0].value"],
    ["a folder to work in with a NUL", container({ workingDir: "/a\0b" }), "workingDir"],
    [
      "a place of a mount with a NUL",
      {
        ...container({ volumeMounts: [{ name: "v", mountPath: "/a\0" }] }),
        volumes: [{ name: "v", emptyDir: {} }],
      },
      "mountPath",
    ],
    [
      "a folder of the node with a NUL",
      { ...container({}), volumes: [{ name: "v", hostPath: { path: "/a\0b" } }] },
      "hostPath.path",
    ],
    [
      "a path of NFS with a line",
      { ...container({}), volumes: [{ name: "v", nfs: { server: "a", path: "/a\nb" } }] },
      "nfs.path",
    ],
  ])("%s", async (_, spec, field) => {
    const body = { metadata: { name: "p" }, spec };
    const { code, body: answer } = await api.call(
      "POST",
      "/api/v1/namespaces/default/pods?dryRun=All",
      body,
    );
    expect([code, String(answer.message)]).toEqual([422, expect.stringContaining(field)]);
  });

  test.each(["ro,bind", "a b", "a\nb", "-x", "", 'x="y"'])(
    "the mount option %j of a volume",
    async (option) => {
      const spec = {
        capacity: { storage: "1Gi" },
        accessModes: ["ReadWriteMany"],
        nfs: { server: "a", path: "/x" },
        mountOptions: [option],
      };
      const body = { metadata: { name: "v" }, spec };
      const { code } = await api.call("POST", "/api/v1/persistentvolumes?dryRun=All", body);
      expect(code).toBe(422);
    },
  );

  test("an address of a node that is none", async () => {
    await api.call("POST", "/api/v1/nodes", { metadata: { name: "evil" } });
    const { body: node } = await api.call("GET", "/api/v1/nodes/evil");
    for (const address of ["10.0.0.1\nlink delete eth0", "10.0.0.1 -j ACCEPT", "x"]) {
      const status = { addresses: [{ type: "InternalIP", address }] };
      const { code } = await api.call("PUT", "/api/v1/nodes/evil/status", { ...node, status });
      expect(code).toBe(422);
    }
  });
});

describe("what reached the store all the same", () => {
  const EVIL = [
    "10.9.9.9 -j ACCEPT",
    "10.9.9.9\n-F INPUT",
    "10.9.9.9/0 -j ACCEPT",
    "fe80::9%9 -j ACCEPT",
    "::9\n9",
  ];
  const families = ["IPv4", "IPv6"] as const;
  const network: NetworkState = {
    nodeName: "n1",
    clusterCidr: "10.42.0.0/16,fd00:42::/56",
    nodes: [
      {
        metadata: { name: "n1" },
        spec: { podCIDRs: ["10.42.1.0/24"] },
        status: { addresses: [{ type: "InternalIP", address: "192.168.0.1" }] },
      },
      ...EVIL.flatMap((text, i) => [
        {
          metadata: { name: `a${i}` },
          spec: { podCIDRs: [`10.42.${i + 2}.0/24`, "fd00:42:0:2::/64"] },
          status: { addresses: [{ type: "InternalIP", address: text }] },
        },
        {
          metadata: { name: `b${i}` },
          spec: { podCIDRs: [`${text}/24`, text] },
          status: {
            addresses: [
              { type: "InternalIP", address: "192.168.0.9" },
              { type: "InternalIP", address: "fd01::9" },
            ],
          },
        },
      ]),
    ],
    attachments: [
      {
        podUid: "u",
        sandboxId: "s",
        ip: "10.42.1.7",
        ips: ["10.42.1.7", "fd00:42::7"],
        netnsPath: "/run/netns/s",
        portMappings: EVIL.map((hostIP) => ({
          hostPort: 1,
          containerPort: 2,
          protocol: "TCP",
          hostIP,
        })),
      },
    ],
    localhostPorts: true,
    overlay: true,
    apiPort: 6443,
  };

  const clean = (plan: unknown) =>
    expect(JSON.stringify(plan)).not.toMatch(/9 -j ACCEPT|\\n|%9|9\/0/);

  test("of nodes gets into no route and no rule", () => {
    for (const family of families) {
      const peers = planPeers(network, family);
      clean([planRoutes(peers), planOverlay(network, peers, { instance: "x", mtu: 1400 })]);
      clean([planFirewall(network, family), planNetworkRules(network, family)]);
    }
  });

  test("of Services and policies gets into no rule", () => {
    const labels = { "kubernetes.io/service-name": "s" };
    const services = EVIL.map((text) => ({
      metadata: { name: "s", namespace: "default" },
      spec: {
        type: "LoadBalancer",
        clusterIP: text,
        clusterIPs: [text, "10.43.0.7"],
        externalIPs: [text],
        loadBalancerSourceRanges: [text, `${text}/24`],
        ports: [{ port: 80, nodePort: 30_000 }],
      },
      status: { loadBalancer: { ingress: [{ ip: text }] } },
    }));
    const endpointSlices = families.map((addressType) => ({
      metadata: { name: "s", namespace: "default", labels },
      addressType,
      ports: [{ name: "", port: 80 }],
      endpoints: EVIL.map((text) => ({ addresses: [text] })),
    }));
    const pods = EVIL.map((ip, i) => ({
      metadata: { name: `p${i}`, namespace: "default", uid: `u${i}` },
      spec: { containers: [], nodeName: "n1" },
      status: { podIPs: [{ ip }] },
    }));
    const blocks = EVIL.map((cidr) => ({ ipBlock: { cidr, except: EVIL } }));
    const real = { ipBlock: { cidr: "10.0.0.0/8", except: EVIL } };
    const policies = [
      {
        metadata: { name: "p", namespace: "default" },
        spec: {
          podSelector: {},
          policyTypes: ["Ingress", "Egress"],
          ingress: [{ from: [...blocks, real, { podSelector: {} }] }],
          egress: [{ to: [...blocks, real, { podSelector: {} }] }],
        },
      },
    ];
    for (const family of families) {
      const config = { nodeName: "n1", clusterCidr: "10.42.0.0/16", family, markBit: 0x4000 };
      clean(planServices({ services, endpointSlices }, config));
      const known = pods.flatMap((pod) => policyPod(pod as Pod, "n1", new Map()) ?? []);
      clean(planPolicies({ policies, pods: known, namespaces: new Map() }, { family, markBit: 1 }));
    }
  });

  test("as a rule with a line break is not written", () => {
    const rules = ["-s 10.0.0.1 -j ACCEPT\nCOMMIT"];
    const change = {
      table: "filter" as const,
      write: [{ name: "X", rules }],
      remove: [],
      unhook: [],
      hook: [],
    };
    expect(() => [...renderChange(change, new ChainNames(""))]).toThrow("line");
  });

  test("is no option of mount and umount", async () => {
    const ran: string[][] = [];
    const run = async (argv: readonly string[]) => {
      ran.push([...argv]);
      return { exitCode: 0, stdout: "", stderr: "" };
    };
    const mounts = new Mounts(run, "/proc/self/mountinfo");
    await mounts.mount({ flags: ["-t", "nfs"], source: "--fstab=/tmp/x:/y", point: "/mnt" });
    expect(ran).toEqual([["mount", "-t", "nfs", "--", "--fstab=/tmp/x:/y", "/mnt"]]);
  });

  test("is no second value of nerdctl's", () => {
    const base: ContainerSpec = {
      ...plainContainer,
      image: "docker.io/library/busybox:1",
      labels: {},
      group: "g",
      network: "host",
      logPath: "/l",
      cgroupParent: "/p",
    };
    const cases: Partial<ContainerSpec>[] = [
      { image: "--privileged" },
      { image: "-v/:/host" },
      { devices: ["/dev/x:/dev/y,/dev/sda:/dev/sda"] },
      { devices: ['"/dev/x'] },
      { devices: ["/dev/x:/dev/y\n/dev/sda"] },
      { capabilities: { add: ["CHOWN,SYS_ADMIN"], drop: [] } },
      { capabilities: { add: [], drop: ["CHOWN\nX"] } },
      { groups: ["1,0"] },
      { network: { namespacePath: "/run/netns/x,host" } },
    ];
    for (const more of cases) {
      expect(() => createArguments({ ...base, ...more }, "/run/id")).toThrow("nerdctl");
    }
  });

  const inputOf = (spec: Partial<PodSpec>, own: Partial<Container> = {}): SpecInput => ({
    pod: podOf(spec),
    member: { role: "main", spec: { name: "c", image: "i", ...own } },
    attempt: 0,
    image: {
      id: "i",
      names: ["docker.io/library/i:1"],
      digests: [],
      sizeBytes: 1,
      user: "",
    } as unknown as SpecInput["image"],
    env: [],
    mounts: [],
    logPath: "/l",
    netnsPath: "/run/netns/x",
    cgroupRoot: "/kubepods",
    memoryCapacityBytes: 1,
    pidsLimit: undefined,
    seccompDir: "/seccomp",
    leaderId: undefined,
    pidLeaderId: undefined,
    targetId: undefined,
    devices: [],
    fqdn: undefined,
  });

  test("does not switch AppArmor off", () => {
    const appArmorProfile = { type: "Localhost", localhostProfile: "unconfined" };
    const input = inputOf({}, { securityContext: { appArmorProfile } });
    expect(() => containerSpec(input)).toThrow("unconfined");
  });

  test("leads out of the folder of seccomp profiles", () => {
    for (const localhostProfile of ["../x", "/etc/passwd", "a/../../x"]) {
      const seccompProfile = { type: "Localhost", localhostProfile };
      const input = inputOf({}, { securityContext: { seccompProfile } });
      expect(() => containerSpec(input)).toThrow("seccomp");
    }
  });

  test("starts no container on the node's network for lack of its own", () => {
    expect(() => containerSpec({ ...inputOf({}), netnsPath: undefined })).toThrow("network");
    expect(containerSpec({ ...inputOf({ hostNetwork: true }), netnsPath: undefined }).network).toBe(
      "host",
    );
  });

  test("adds no line to the resolver's file", () => {
    const options = [
      { name: "ndots", value: "2\nnameserver 6.6.6.6" },
      { name: "x\nnameserver 6.6.6.6" },
    ];
    const dnsConfig = {
      options,
      searches: ["a\nnameserver 6.6.6.6"],
      nameservers: ["1.1.1.1\nnameserver 6.6.6.6"],
    };
    const text = resolverFile(podOf({ dnsConfig }), { servers: ["10.43.0.10"], domain: "c" }, "");
    expect(text).not.toContain("6.6.6.6");
  });
});

describe("programs", () => {
  test("inherit no secrets", async () => {
    process.env["BRAMBLE_ATTACK_SECRET"] = "secret";
    try {
      const { stdout } = await runProcess(["env"]);
      expect(stdout).toContain("PATH=");
      expect(stdout).not.toContain("BRAMBLE_ATTACK_SECRET");
    } finally {
      delete process.env["BRAMBLE_ATTACK_SECRET"];
    }
  });

  test("are not looked for in the working directory", async () => {
    const dir = mkdtempSync(join(tmpdir(), "bramble-attack-"));
    const path = process.env["PATH"];
    const cwd = process.cwd();
    await Bun.write(join(dir, "bramble-attack-program"), "#!/bin/sh\necho attacked\n");
    await runProcess(["chmod", "755", join(dir, "bramble-attack-program")]);
    try {
      process.chdir(dir);
      process.env["PATH"] = `.::${path}`;
      await expect(runProcess(["bramble-attack-program"])).rejects.toThrow();
    } finally {
      process.env["PATH"] = path;
      process.chdir(cwd);
      rmSync(dir, { recursive: true });
    }
  });

  test("get no text that ends early", async () => {
    await expect(runProcess(["echo", "a\0b"])).rejects.toThrow("NUL");
  });
});
