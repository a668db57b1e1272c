import { expect, test } from "bun:test";
import { cast, type MadeContainer, mouldOf, shapeOf } from "#agents/runtime/mould.ts";
import { type ContainerSpec, labelKeys } from "#agents/runtime/runtime.ts";
import { plainContainer } from "#test/support/containerspec.ts";

const OLD = "a".repeat(64);
const NEW = "b".repeat(64);

const spec = (name: string, rest: Partial<ContainerSpec> = {}): ContainerSpec => ({
  ...plainContainer,
  image: "image:1",
  labels: { [labelKeys.uid]: name },
  group: name,
  network: { namespacePath: `/run/netns/${name}` },
  hostname: name,
  mounts: [
    { source: `/pods/${name}/hosts`, target: "/etc/hosts", readOnly: false },
    { source: `/pods/${name}/v`, target: "/v/", readOnly: true },
  ],
  logPath: `/logs/${name}`,
  cgroupParent: `/kubepods/${name}`,
  ...rest,
});

const bind = (destination: string, source: string, mode = "rw") => ({
  destination,
  type: "bind",
  source,
  options: [mode, "rprivate", "rbind"],
});

const made = (rest: Partial<MadeContainer> = {}): MadeContainer => ({
  id: OLD,
  labels: {
    [labelKeys.uid]: "one",
    "nerdctl/state-dir": `/n/containers/${OLD}`,
    "nerdctl/hostname": "one",
    "nerdctl/networks": '["ns:/run/netns/one"]',
    "nerdctl/mounts": "[…]",
  },
  spec: {
    hostname: "one",
    process: { args: ["one"], env: ["PATH=/bin", "HOSTNAME=one"] },
    mounts: [
      bind("/etc/hostname", `/n/containers/${OLD}/hostname`),
      bind("/etc/hosts", "/pods/one/hosts"),
      bind("/v", "/pods/one/v", "ro"),
    ],
    annotations: {
      "io.containerd.runc.v2.group": "one",
      "nerdctl/hostname": "one",
      "nerdctl/mounts": "[…]",
    },
    linux: {
      cgroupsPath: `/kubepods/one/${OLD}`,
      namespaces: [{ type: "pid" }, { type: "network", path: "/run/netns/one" }],
    },
  },
  ...rest,
});

test("names and places are replaced, all else is kept", () => {
  const mould = mouldOf(made(), spec("one"));
  if (mould === undefined) throw new Error("no mould");
  const copy = cast(mould, NEW, spec("two"));
  expect(copy.hostnameFile).toBe(`/n/containers/${NEW}/hostname`);
  expect(copy.labels).toEqual({
    [labelKeys.uid]: "two",
    "nerdctl/state-dir": `/n/containers/${NEW}`,
    "nerdctl/hostname": "two",
    "nerdctl/networks": '["ns:/run/netns/two"]',
  });
  expect(copy.spec).toEqual({
    hostname: "two",
    // Arguments are the same for all of a shape: a word that is the other's name stays.
    process: { args: ["one"], env: ["PATH=/bin", "HOSTNAME=two"] },
    mounts: [
      bind("/etc/hostname", `/n/containers/${NEW}/hostname`),
      bind("/etc/hosts", "/pods/two/hosts"),
      bind("/v", "/pods/two/v", "ro"),
    ],
    annotations: { "io.containerd.runc.v2.group": "two", "nerdctl/hostname": "two" },
    linux: {
      cgroupsPath: `/kubepods/two/${NEW}`,
      namespaces: [{ type: "pid" }, { type: "network", path: "/run/netns/two" }],
    },
  });
  expect(JSON.stringify(copy)).not.toContain(OLD);
});

test("pods of one kind have one shape, whatever they are called", () => {
  const shape = shapeOf(spec("one"), "sha256:1");
  expect(shape).toBeDefined();
  const env = [{ name: "A", value: "secret" }];
  expect(shapeOf(spec("two", { env }), "sha256:1")).toBe(shape);
  expect(shape).not.toContain("one");
  const others: Array<Partial<ContainerSpec>> = [
    { user: "1" },
    { args: ["x"] },
    { memoryLimitBytes: 1 },
    { readOnlyRootfs: true },
    { stdin: true },
    { sysctls: { a: "1" } },
    { hugePageLimits: { "2MB": 1 } },
    { oomGroup: true },
    { noSwap: true },
    { mounts: [] },
  ];
  for (const other of others) expect(shapeOf(spec("one", other), "sha256:1")).not.toBe(shape);
  expect(shapeOf(spec("one"), "sha256:2")).not.toBe(shape);
});

test("what depends on more than its specification is nerdctl's to make", () => {
  const none: Array<Partial<ContainerSpec>> = [
    { network: "host" },
    { pid: "host" },
    { pid: { containerId: OLD } },
    { ipc: "shareable" },
    { privileged: true },
    { devices: ["/dev/null"] },
    { seccomp: "/profile.json" },
  ];
  for (const each of none) expect(shapeOf(spec("one", each), "sha256:1")).toBeUndefined();
  const { labels, spec: oci } = made();
  const own: Array<Partial<MadeContainer>> = [
    { labels: { ...labels, "nerdctl/anonymous-volumes": "[]" } },
    { labels: {} },
    { spec: { ...oci, mounts: [...(oci.mounts ?? []), bind("/etc/x", `/n/${OLD}/x`)] } },
    { spec: { ...oci, mounts: [] } },
    { spec: { ...oci, linux: { ...oci.linux, cgroupsPath: `/other/${OLD}` } } },
  ];
  for (const each of own) expect(mouldOf(made(each), spec("one"))).toBeUndefined();
});
