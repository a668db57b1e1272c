import { expect, test } from "bun:test";
import { splitMounts } from "#agents/runtime/args.ts";
import {
  execProcess,
  finishSpec,
  groupOf,
  type IpcLeader,
  type OciSpec,
  sharedShm,
} from "#agents/runtime/ocispec.ts";

const oci: OciSpec = {
  process: {
    args: ["sh"],
    env: ["PATH=/bin", "A=image", "HOSTNAME=pod"],
    user: { uid: 1, gid: 2, additionalGids: [2, 50] },
  },
  mounts: [{ destination: "/proc", type: "proc", source: "proc", options: [] }],
  hooks: { poststop: [] },
  annotations: { "io.containerd.runc.v2.group": "pod-1" },
  linux: { namespaces: [{ type: "pid" }, { type: "ipc" }] },
};

type Parts = Parameters<typeof finishSpec>[1]["spec"];

function finish(parts: Partial<Parts>, ipc?: IpcLeader): OciSpec {
  const spec: Parts = { env: [], mounts: [], groups: [], ...parts };
  return finishSpec(oci, { spec, ipc });
}

test("hooks go, everything else stays", () => {
  const { hooks: _, ...rest } = oci;
  expect(finish({})).toEqual(rest);
  expect(finish({})).not.toHaveProperty("hooks");
});

test("limits that have no argument, beside those that nerdctl has set", () => {
  const resources = { cpu: { shares: 2 }, unified: { "memory.high": "1" } };
  const made: OciSpec = { ...oci, linux: { resources } };
  const none = { env: [], mounts: [], groups: [] };
  const spec = { ...none, oomGroup: true, noSwap: true, hugePageLimits: { "2MB": 4 } };
  expect(finishSpec(made, { spec, ipc: undefined }).linux?.resources).toEqual({
    ...resources,
    unified: { "memory.high": "1", "memory.oom.group": "1", "memory.swap.max": "0" },
    hugepageLimits: [{ pageSize: "2MB", limit: 4 }],
  });
  // Each by itself, and nothing where the kernel has neither.
  const one = finishSpec(oci, { spec: { ...none, noSwap: true }, ipc: undefined });
  expect(one.linux?.resources).toEqual({ unified: { "memory.swap.max": "0" } });
  expect(finishSpec(made, { spec: none, ipc: undefined }).linux?.resources).toEqual(resources);
});

test("the pod's environment comes after the image's and the hostname, the last one counts", () => {
  const env = [
    { name: "A", value: "1" },
    { name: "B", value: "x=y\n" },
    { name: "A", value: "2" },
    { name: "HOSTNAME", value: "own" },
  ];
  expect(finish({ env }).process?.env).toEqual(["PATH=/bin", "A=2", "HOSTNAME=own", "B=x=y\n"]);
});

test("a shared IPC namespace, by the process that is in it", () => {
  expect(finish({}, { pid: 77, shm: undefined }).linux?.namespaces).toEqual([
    { type: "pid" },
    { type: "ipc", path: "/proc/77/ns/ipc" },
  ]);
});

test("only the pod's own groups when it is strict", () => {
  const groups = ["3000", "2"];
  expect(finish({ groups }).process?.user?.additionalGids).toEqual([2, 50]);
  const strict = finish({ groups, groupsPolicy: "Strict" });
  expect(strict.process?.user?.additionalGids).toEqual([2, 3000]);
});

test("a group of the pod's own, beside those that the image has the user in", () => {
  const user = finish({ user: "1:7" }).process?.user;
  expect(user).toEqual({ uid: 1, gid: 7, additionalGids: [7, 50] });
  expect(finish({ user: "1" }).process?.user).toEqual(oci.process?.user);
});

test("mounts that can't be arguments", () => {
  const mounts = [
    { source: "/a", target: "/a", readOnly: false },
    { source: "/x:y", target: "/b", readOnly: true, propagation: "rslave" as const },
  ];
  expect(finish({ mounts }).mounts?.slice(1)).toEqual([
    { destination: "/b", type: "bind", source: "/x:y", options: ["rbind", "rslave", "ro"] },
  ]);
});

test("mounts that nerdctl's label has no room for, outer before inner", () => {
  const mounts = Array.from({ length: 50 }, (_, i) => ({
    source: `/var/lib/bramble/pods/7f1d/volumes/config/volume-${i}`,
    target: i === 49 ? "/etc" : `/etc/config/${i}`,
    readOnly: true,
  }));
  const { told, written } = splitMounts(mounts);
  expect([...told, ...written]).toEqual(mounts);
  expect(told.length).toBeGreaterThan(5);
  const label = JSON.stringify(
    told.map(({ source, target }) => ({
      ...{ Type: "bind", Source: source, Destination: target, Mode: "ro,rprivate,rbind" },
      ...{ RW: false, Propagation: "rprivate" },
    })),
  );
  expect(label.length).toBeLessThan(4_000);
  const targets = finish({ mounts }).mounts?.map(({ destination }) => destination);
  expect(targets?.slice(0, 2)).toEqual(["/proc", "/etc"]);
});

test("an extra process is the first one with another command", () => {
  expect(execProcess(oci, ["ls"], false)).toEqual({
    ...oci.process,
    args: ["ls"],
    terminal: false,
  });
  expect(execProcess(oci, ["ls"], true).env).toContain("TERM=xterm");
});

test("the group names the shim", () => {
  expect(groupOf(oci, "c1")).toBe("pod-1");
  expect(groupOf({}, "c1")).toBe("c1");
});

test("a container of the same namespace has the /dev/shm that its maker left on the host", () => {
  const shm = { destination: "/dev/shm", type: "bind", source: "/run/x/shm", options: ["rbind"] };
  const own = { destination: "/dev/shm", type: "tmpfs", source: "shm", options: [] };
  const maker = { ...oci, mounts: [...(oci.mounts ?? []), shm] };
  expect(sharedShm(maker)).toEqual(shm);
  expect(sharedShm({ ...oci, mounts: [own] })).toBeUndefined();
  const spec: Parts = { env: [], mounts: [], groups: [] };
  const joined = finishSpec({ ...oci, mounts: [own] }, { spec, ipc: { pid: 77, shm } });
  expect(joined.mounts).toEqual([shm]);
});
