import { describe, expect, test } from "bun:test";
import { containerSpec, type SpecInput } from "#agents/kubelet/containerspec.ts";
import { membersOf } from "#agents/kubelet/pod.ts";
import type { Container, PodSpec } from "#resources/types.gen.ts";
import { box, imageInfo, podOf } from "#test/support/podstate.ts";

function inputOf(
  spec: Partial<PodSpec>,
  container: Partial<Container>,
  rest: Partial<SpecInput> = {},
): SpecInput {
  const pod = podOf({ ...spec, containers: [box("main", container), ...(spec.containers ?? [])] });
  const member = membersOf(pod).find(({ spec: own }) => own.name === "main");
  if (member === undefined) throw new Error("no container");
  return {
    pod,
    member,
    attempt: 2,
    image: imageInfo,
    env: [{ name: "A", value: "1" }],
    mounts: [],
    logPath: "/log",
    netnsPath: "/run/netns/x",
    cgroupRoot: "/kubepods",
    memoryCapacityBytes: 2 ** 30,
    pidsLimit: undefined,
    seccompDir: "/data/seccomp",
    leaderId: undefined,
    pidLeaderId: undefined,
    targetId: undefined,
    devices: [],
    fqdn: undefined,
    ...rest,
  };
}

const specOf = (
  spec: Partial<PodSpec>,
  container: Partial<Container> = {},
  rest: Partial<SpecInput> = {},
) => containerSpec(inputOf(spec, container, rest));

test("labels tell a restarted agent whose container it is", () => {
  expect(specOf({}).labels).toEqual({
    "bramble.dev/pod": "web",
    "bramble.dev/namespace": "shop",
    "bramble.dev/uid": "u1",
    "bramble.dev/container": "main",
    "bramble.dev/attempt": "2",
    "bramble.dev/hash": "main=busybox:1",
    "bramble.dev/kind": "main",
  });
});

test("command and arguments know the variables", () => {
  const spec = specOf({}, { command: ["sh", "-c"], args: ["echo $(A) $(B)"], workingDir: "/w" });
  expect(spec).toMatchObject({
    entrypoint: ["sh", "-c"],
    args: ["echo 1 $(B)"],
    workingDir: "/w",
  });
});

describe("user", () => {
  const user = (whole: object, own: object, imageUser = "") =>
    specOf(
      { securityContext: whole },
      { securityContext: own },
      { image: { ...imageInfo, user: imageUser } },
    ).user;

  test("of the container goes before that of the pod", () => {
    expect(user({}, {})).toBeUndefined();
    expect(user({ runAsUser: 1 }, {})).toBe("1");
    expect(user({ runAsUser: 1, runAsGroup: 5 }, { runAsUser: 2 })).toBe("2:5");
    expect(user({ runAsGroup: 5 }, {}, "app")).toBe("app:5");
    expect(user({ runAsGroup: 5 }, {})).toBe("0:5");
  });

  test("root is refused where the pod says so", () => {
    const where = '(pod: "web_shop(u1)", container: main)';
    expect(() => user({ runAsNonRoot: true }, {})).toThrow(
      `container has runAsNonRoot and image will run as root ${where}`,
    );
    expect(() => user({ runAsNonRoot: true }, { runAsUser: 0 })).toThrow(
      `container's runAsUser breaks non-root policy ${where}`,
    );
    expect(() => user({ runAsNonRoot: true }, {}, "app")).toThrow("non-numeric user (app)");
    expect(user({ runAsNonRoot: true }, {}, "1000")).toBeUndefined();
    expect(user({ runAsNonRoot: true }, { runAsNonRoot: false })).toBeUndefined();
  });
});

test("security settings", () => {
  const securityContext = {
    allowPrivilegeEscalation: false,
    capabilities: { add: ["NET_ADMIN"], drop: ["ALL"] },
    readOnlyRootFilesystem: true,
    seccompProfile: { type: "Localhost", localhostProfile: "p.json" },
    appArmorProfile: { type: "Localhost", localhostProfile: "mine" },
    procMount: "Unmasked",
  };
  const whole = {
    fsGroup: 7,
    supplementalGroups: [8, 7],
    supplementalGroupsPolicy: "Strict",
    sysctls: [{ name: "net.core.somaxconn", value: "9" }],
  };
  expect(specOf({ securityContext: whole }, { securityContext })).toMatchObject({
    noNewPrivileges: true,
    capabilities: { add: ["NET_ADMIN"], drop: ["ALL"] },
    readOnlyRootfs: true,
    seccomp: "/data/seccomp/p.json",
    apparmor: "mine",
    procMount: "Unmasked",
    groups: ["8", "7"],
    groupsPolicy: "Strict",
    sysctls: { "net.core.somaxconn": "9" },
  });
});

test("seccomp is off unless asked for, as upstream", () => {
  expect(specOf({}).seccomp).toBe("unconfined");
  const securityContext = { seccompProfile: { type: "RuntimeDefault" } };
  expect(specOf({ securityContext }).seccomp).toBe("runtime/default");
  const own = { securityContext: { privileged: true } };
  expect(specOf({ securityContext }, own)).toMatchObject({
    seccomp: "unconfined",
    privileged: true,
  });
});

test("namespaces", () => {
  expect(specOf({})).toMatchObject({ network: { namespacePath: "/run/netns/x" }, hostname: "web" });
  const host = specOf({ hostNetwork: true, hostPID: true, hostIPC: true });
  expect(host).toMatchObject({ network: "host", pid: "host", ipc: "host" });
  expect(host.hostname).toBeUndefined();
  expect(specOf({ setHostnameAsFQDN: true }, {}, { fqdn: "web.s.shop" }).hostname).toBe(
    "web.s.shop",
  );
  const two = { containers: [box("other")] };
  expect(specOf(two).ipc).toBe("shareable");
  expect(specOf(two, {}, { leaderId: "c1" }).ipc).toEqual({ containerId: "c1" });
  expect(specOf(two, {}, { pidLeaderId: "c1" }).pid).toEqual({ containerId: "c1" });
});
