/** The runtime on a real containerd: what pods ask of it, seen from inside of containers. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { type ContainerSpec, RuntimeError } from "#agents/runtime/runtime.ts";
import { runProcess } from "#base/process.ts";
import { eventually, type HostRuntime, startHostRuntime } from "#test/support/runtime.ts";

setDefaultTimeout(240_000);

let host: HostRuntime;

beforeAll(async () => {
  host = await startHostRuntime("runtime");
});
afterAll(() => host?.close());

/** Runs a script to its end and answers what it printed and its exit code. */
async function output(
  script: string,
  rest: Partial<ContainerSpec> = {},
): Promise<{ text: string; exitCode: number }> {
  const spec = host.spec(script, rest);
  const { id } = await host.runtime.run(spec);
  const exit = await host.event((each) => each.type === "exit" && each.containerId === id);
  await host.runtime.remove([id]);
  return { text: await readFile(spec.logPath, "utf8"), exitCode: exit.exitCode };
}

async function failure(spec: ContainerSpec): Promise<RuntimeError> {
  try {
    await host.runtime.run(spec);
  } catch (error) {
    if (error instanceof RuntimeError) return error;
    throw error;
  }
  throw new Error("the container was started");
}

describe("life of a container", () => {
  test("runs, is listed, is adopted by another agent, ends and is removed", async () => {
    const spec = host.spec("trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done");
    const { id, pid } = await host.runtime.run(spec);
    await host.logWith(spec.logPath, "up");
    expect(existsSync(`/proc/${pid}`)).toBe(true);

    const adopted = (await host.another().list()).find((each) => each.id === id);
    expect(adopted).toMatchObject({ state: "running", pid, image: spec.image });
    expect(adopted?.labels).toMatchObject(spec.labels);

    await host.runtime.signal(id, "SIGTERM");
    const exit = await host.event((each) => each.type === "exit" && each.containerId === id);
    expect(exit).toMatchObject({ execId: "", exitCode: 7 });
    const ended = (await host.runtime.list()).find((each) => each.id === id);
    expect(ended).toMatchObject({ state: "exited", exitCode: 7, pid: undefined });
    expect(ended?.finishedAtMs).toBe(exit.atMs);

    await host.runtime.remove([id]);
    expect((await host.runtime.list()).find((each) => each.id === id)).toBeUndefined();
    await host.event((each) => each.type === "delete" && each.containerId === id);
    // Of what is gone there is nothing to be done, and that is no error.
    await host.runtime.remove([id]);
    await host.runtime.signal(id, "SIGKILL");
  });

  test("a command that is not there fails with runc's words and leaves nothing", async () => {
    const error = await failure(host.spec("", { entrypoint: ["no-such-command"] }));
    expect(error.reason).toBe("RunContainerError");
    expect(error.message).toContain('exec: "no-such-command": executable file not found in $PATH');
    expect(await host.runtime.list()).toEqual([]);
  });

  test("an image that is not there is not fetched by a run", async () => {
    const error = await failure(host.spec("true", { image: "bramble.test/none:1" }));
    expect(error.reason).toBe("CreateContainerError");
    expect(error.message).toContain("image not available");
  });

  test("running out of memory is reported", async () => {
    const spec = host.spec("head -c 100000000 /dev/zero | tail", { memoryLimitBytes: 8 << 20 });
    const { id } = await host.runtime.run(spec);
    await host.event((each) => each.type === "oom" && each.containerId === id);
    await host.runtime.remove([id]);
  });

  test("remove leaves no container, snapshot, shim, mount or file", async () => {
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) {
      ids.push((await host.runtime.run(host.spec("sleep 1000", { group: "together" }))).id);
    }
    const state = `${host.containerd.dir}/state`;
    expect(await readFile("/proc/self/mountinfo", "utf8")).toContain(`${state}/`);
    await host.runtime.remove(ids);
    expect(await host.runtime.list()).toEqual([]);
    expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(`${state}/`);
    await eventually("the shim to end", async () => {
      for (const pid of new Bun.Glob("[0-9]*").scanSync({ cwd: "/proc", onlyFiles: false })) {
        const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
        if (line.includes("shim") && line.includes(host.containerd.address)) return undefined;
      }
      return true;
    });
    const left = Bun.spawnSync(["find", `${host.containerd.dir}/nerdctl`, "-type", "f"]);
    expect(left.stdout.toString()).not.toContain(ids[0]);
    expect(left.stdout.toString()).not.toContain("etchosts");
    const run = Bun.spawnSync(["find", `${host.containerd.dir}/run`, "-not", "-type", "d"]);
    expect(run.stdout.toString()).toBe("");
  });
});

test("a second container of one kind is made without nerdctl, and is like the first", async () => {
  const calls: string[] = [];
  const runtime = host.another({
    run: (argv, options) => {
      calls.push(argv.includes("create") ? "create" : (argv[0] ?? ""));
      return runProcess(argv, options);
    },
  });
  const file = `${host.containerd.dir}/mould-file`;
  await writeFile(file, "");
  const own = (name: string) => ({
    hostname: name,
    mounts: [
      { source: file, target: "/etc/hosts", readOnly: false },
      { source: file, target: "/etc/resolv.conf", readOnly: false },
      { source: `${host.containerd.dir}/mould-${name}`, target: "/own", readOnly: false },
    ],
    env: [{ name: "WHO", value: name }],
  });
  const script = "echo $WHO $HOSTNAME $(hostname) $(cat /etc/hostname) >/own/said; ls /own";
  const ids: string[] = [];
  for (const name of ["mould-one", "mould-two", "mould-three"]) {
    const spec = host.spec(script, own(name));
    ids.push((await runtime.run(spec)).id);
    await host.logWith(spec.logPath, "said");
    const said = await readFile(`${host.containerd.dir}/mould-${name}/said`, "utf8");
    expect(said).toBe(`${name} ${name} ${name} ${name}\n`);
  }
  expect(calls.filter((call) => call === "create")).toHaveLength(1);
  expect((await runtime.list()).filter(({ id }) => ids.includes(id))).toHaveLength(3);
  await runtime.remove(ids);
  const left = Bun.spawnSync(["find", host.containerd.dir, "-name", `*${ids[2]}*`]);
  expect(left.stdout.toString().replaceAll(/.*runtime\.v2\.task.*\n/g, "")).toBe("");
});

describe("what a container gets", () => {
  test("command and arguments as Kubernetes reads them", async () => {
    const both = await output("", { entrypoint: ["echo", "--"], args: ["-a", "--"] });
    expect(both.text).toBe("-- -a --\n");
    // The image has no ENTRYPOINT and `sh` as its CMD; arguments alone replace the CMD.
    const spec = host.spec("");
    const { entrypoint: _, ...plain } = spec;
    const { id } = await host.runtime.run({ ...plain, args: ["echo", "only args"] });
    await host.logWith(spec.logPath, "only args");
    await host.runtime.remove([id]);
  });

  test("environment, whatever is in it, and nothing of the agent's own", async () => {
    const env = [
      { name: "PLAIN", value: "a b" },
      { name: "EMPTY", value: "" },
      { name: "LINES", value: "one\ntwo\n" },
      { name: "PADDED", value: "  x\t" },
      { name: "#ODD", value: "hash" },
      { name: "LONG", value: "y".repeat(80_000) },
      { name: "TWICE", value: "first" },
      { name: "TWICE", value: "second" },
      { name: "HOME", value: "/home\n" },
      { name: "HOSTNAME", value: "mine" },
      { name: "SECRET", value: "not an argument" },
      { name: "PATH", value: "/bin:/usr/bin" },
    ];
    process.env["BRAMBLE_TEST_SECRET"] = "agent";
    const { text } = await output("", {
      env,
      entrypoint: ["cat", "/proc/self/environ"],
    });
    delete process.env["BRAMBLE_TEST_SECRET"];
    const seen = Object.fromEntries(
      text.split("\0").map((line) => [line.split("=")[0], line.slice(line.indexOf("=") + 1)]),
    );
    for (const { name, value } of env.filter((each) => each.value !== "first")) {
      expect(seen[name]).toBe(value);
    }
    expect(Object.keys(seen)).not.toContain("BRAMBLE_TEST_SECRET");
  });

  test("mounts: files, read-only, commas in names, its own hosts file, tmpfs", async () => {
    const dir = `${host.containerd.dir}/mounts,odd`;
    await mkdir(dir);
    await mkdir(`${dir}/in:odd`);
    await writeFile(`${dir}/in:odd/file`, "behind a colon\n");
    await writeFile(`${dir}/hosts`, "10.1.2.3 fixed\n");
    const script = `
      cat /etc/hosts; cat /data,x/hosts; cat /odd/file; touch /odd/x || echo refused too
      echo new >/data,x/written && echo writable
      echo new >/ro/written || echo refused
      grep ' /scratch ' /proc/mounts`;
    const { text } = await output(script, {
      mounts: [
        { source: dir, target: "/data,x", readOnly: false },
        { source: dir, target: "/ro", readOnly: true },
        { source: `${dir}/in:odd`, target: "/odd", readOnly: true },
        { source: `${dir}/hosts`, target: "/etc/hosts", readOnly: false },
      ],
      tmpfs: [{ target: "/scratch", options: "size=1m,mode=1777,exec" }],
    });
    expect(text.match(/10\.1\.2\.3 fixed/g)).toHaveLength(2);
    expect(text).toContain("writable");
    expect(text).toContain("behind a colon");
    expect(text).toContain("refused\n");
    expect(text).toContain("refused too");
    expect(text).toMatch(/tmpfs \/scratch tmpfs rw,.*size=1024k/);
    expect(await readFile(`${dir}/written`, "utf8")).toBe("new\n");
  });

  test("user, groups, capabilities, seccomp, read-only root, no new privileges", async () => {
    const script =
      "id; grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; touch /x || echo ro";
    const { text } = await output(script, {
      user: "1234:5678",
      groups: ["99", "100"],
      capabilities: { add: [], drop: ["ALL"] },
      readOnlyRootfs: true,
      noNewPrivileges: true,
      seccomp: "runtime/default",
    });
    expect(text).toContain("uid=1234 gid=5678 groups=99,100,5678");
    expect(text).toMatch(/CapEff:\s0000000000000000/);
    expect(text).toMatch(/NoNewPrivs:\s1/);
    expect(text).toMatch(/Seccomp:\s2/);
    expect(text).toContain("ro");
    const added = await output("grep -E 'CapEff|Seccomp:' /proc/self/status", {
      capabilities: { add: ["NET_ADMIN"], drop: ["ALL"] },
    });
    expect(added.text).toMatch(/CapEff:\s0000000000001000/);
    expect(added.text).toMatch(/Seccomp:\s0/);
  });

  test("limits, out-of-memory score and sysctls", async () => {
    const spec = host.spec("cat /proc/self/oom_score_adj /proc/sys/net/ipv4/ip_local_port_range", {
      memoryLimitBytes: 64 << 20,
      cpuQuotaMicros: 20_000,
      cpuShares: 100,
      pidsLimit: 50,
      oomScoreAdj: -500,
      sysctls: { "net.ipv4.ip_local_port_range": "30000 30999" },
      args: [],
    });
    const { id, pid } = await host.runtime.run({
      ...spec,
      entrypoint: ["sh", "-c", `${spec.entrypoint?.[2]}; sleep 1000`],
    });
    const log = await host.logWith(spec.logPath, "30999");
    expect(log).toBe("0\n30000\t30999\n");
    const group = `${spec.cgroupParent}/${id}`;
    const read = (v1: string, v2: string) => {
      const unified = existsSync("/sys/fs/cgroup/cgroup.controllers");
      const [controller, file] = v1.split(" ");
      const path = unified ? `${group}/${v2}` : `/${controller}${group}/${file}`;
      return readFile(`/sys/fs/cgroup${path}`, "utf8").then((text) => text.trim());
    };
    expect(await read("memory memory.limit_in_bytes", "memory.max")).toBe(String(64 << 20));
    expect(await read("cpu cpu.cfs_quota_us", "cpu.max")).toMatch(/^20000( 100000)?$/);
    expect(await read("pids pids.max", "pids.max")).toBe("50");
    expect(existsSync(`/proc/${pid}`)).toBe(true);
    await host.runtime.remove([id]);
  });

  test("its hostname, or the machine's on the machine's network", async () => {
    const own = await output("hostname; echo $HOSTNAME; cat /etc/hostname", { hostname: "web-0" });
    expect(own.text).toBe("web-0\nweb-0\nweb-0\n");
    const { hostname: _, ...spec } = host.spec("hostname; ip -o link | wc -l", { network: "host" });
    const { id } = await host.runtime.run(spec);
    const machine = (await readFile("/proc/sys/kernel/hostname", "utf8")).trim();
    expect(await host.logWith(spec.logPath, "\n")).toStartWith(`${machine}\n`);
    await host.runtime.remove([id]);
  });

  test("namespaces of another container, or of the machine", async () => {
    const first = await host.runtime.run(host.spec("sleep 1000", { ipc: "shareable" }));
    const sizes = "df -k /dev/shm | tail -1 | awk '{print $2}'";
    expect((await output(sizes, { ipc: { containerId: first.id } })).text.trim()).toBe("65536");
    expect((await output(sizes)).text.trim()).toBe("65536");
    const shared = await output("readlink /proc/self/ns/ipc; ps | grep -c 'sleep 1000'", {
      ipc: { containerId: first.id },
      pid: { containerId: first.id },
    });
    const link = Bun.spawnSync(["readlink", `/proc/${first.pid}/ns/ipc`]).stdout.toString();
    expect(shared.text.split("\n")[0]).toBe(link.trim());
    expect(Number(shared.text.split("\n")[1])).toBeGreaterThan(1);
    // Who joined may be joined in turn, also when the first one is gone: a pod's containers
    // restart.
    const script = "echo a > /dev/shm/a; echo written; sleep 1000";
    const spec = host.spec(script, { ipc: { containerId: first.id } });
    const second = await host.runtime.run(spec);
    await host.logWith(spec.logPath, "written");
    const chained = { ipc: { containerId: second.id } };
    const third = await output("readlink /proc/self/ns/ipc; cat /dev/shm/a", chained);
    expect(third.text.split("\n").slice(0, 2)).toEqual([link.trim(), "a"]);
    await host.runtime.remove([first.id]);
    const late = await output("readlink /proc/self/ns/ipc", chained);
    expect(late.text.trim()).toBe(link.trim());
    await host.runtime.remove([second.id]);
    const machine = await output("readlink /proc/self/ns/pid", { pid: "host" });
    expect(machine.text.trim()).toBe(
      Bun.spawnSync(["readlink", "/proc/self/ns/pid"]).stdout.toString().trim(),
    );
  });

  test("privileges and devices", async () => {
    const { text } = await output("ls /dev/full && grep Seccomp: /proc/self/status", {
      privileged: true,
    });
    expect(text).toMatch(/\/dev\/full\nSeccomp:\s0/);
    const device = await output("ls -l /dev/chosen; ls /dev/kmsg", {
      devices: ["/dev/null:/dev/chosen:rw"],
    });
    expect(device.text).toContain("1,   3");
    expect(device.text).toContain("/dev/kmsg: No such file");
  });

  test("a terminal when it wants one", async () => {
    const spec = host.spec("test -t 1 && echo terminal", { tty: true });
    const { id } = await host.runtime.run(spec);
    await host.logWith(spec.logPath, "terminal\r\n");
    await host.runtime.remove([id]);
  });
});

describe("images", () => {
  test("are listed and found by any form of their name and by id", async () => {
    const [image] = await host.runtime.images();
    expect(image?.names).toEqual(["bramble.test/busybox:1"]);
    expect(image?.id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(image?.digests[0]).toMatch(/^bramble\.test\/busybox@sha256:[0-9a-f]{64}$/);
    expect(image?.sizeBytes).toBeGreaterThan(1_000_000);
    expect(await host.runtime.inspectImage(image?.id ?? "")).toEqual(image);
    expect(await host.runtime.inspectImage("bramble.test/other")).toBeUndefined();
  });

  test("a pull that fails says why", async () => {
    const pulls = [
      host.runtime.pull("localhost:1/none:1"),
      host.runtime.pull("localhost:1/none:1"),
    ];
    const results = await Promise.allSettled(pulls);
    for (const result of results) {
      if (result.status !== "rejected") throw new Error("pulled from nowhere");
      expect(result.reason).toMatchObject({ reason: "ErrImagePull" });
      expect(String(result.reason)).toContain("connection refused");
    }
    await expect(host.runtime.pull("Not/A:Name:x")).rejects.toMatchObject({
      reason: "InvalidImageName",
    });
  });
});
