/** debug of running containers, and every option of logs, by the unmodified kubectl. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { eventually, type Instance, startInstance } from "#test/support/instance.ts";

let cluster: Instance;

const container = (name: string, command: string, rest = "") => `
    - name: ${name}
      image: bramble.local/web:1
      imagePullPolicy: Never
      command: [sh, -c, ${JSON.stringify(command)}]
${rest}`;

const manifest = `
apiVersion: v1
kind: Pod
metadata: {name: talks}
spec:
  terminationGracePeriodSeconds: 0
  containers:${container("one", "echo one; sleep 5; echo more; sleep 1000")}${container(
    "two",
    "if [ -f /tmp/x/y ]; then echo second run; sleep 1000; else mkdir -p /tmp/x; touch /tmp/x/y; echo first run; exit 1; fi",
    "      volumeMounts: [{name: x, mountPath: /tmp/x}]",
  )}
  volumes: [{name: x, emptyDir: {}}]
`;

beforeAll(async () => {
  cluster = await startInstance({ name: "inspect", images: ["1"] });
  await cluster.apply(manifest);
  await cluster.must("wait", "--for=condition=Ready", "pod/talks", "--timeout=120s");
}, 270_000);

afterAll(async () => {
  await cluster?.close();
}, 180_000);

const kubectl = (...argv: string[]) => ["kubectl", "--kubeconfig", cluster.kubeconfig, ...argv];

test("debug looks at a running container's processes, in a container of its own", async () => {
  const argv = [
    "debug",
    "talks",
    "--image=bramble.local/web:1",
    "--target=one",
    "--profile=general",
  ];
  const made = await cluster.kubectl([
    ...argv,
    ...["--image-pull-policy=Never", "--container=look", "--", "sh", "-c", "ps; echo seen"],
  ]);
  expect(made.exitCode).toBe(0);
  const log = await eventually("its words", 60_000, async () => {
    const { stdout } = await cluster.kubectl(["logs", "talks", "-c", "look"]);
    return stdout.includes("seen") && stdout;
  });
  expect(log).toMatch(/ 1 root +(sleep 1000|sh -c echo one)/);
  const path = "jsonpath={.status.containerStatuses[?(@.name=='one')].restartCount}";
  expect(await cluster.must("get", "pod", "talks", "-o", path)).toBe("0");
}, 180_000);

test("every option of logs", async () => {
  const logs = (...argv: string[]) => cluster.must("logs", "talks", ...argv);
  await eventually("both lines", 60_000, async () => {
    return (await logs("-c", "one")) === "one\nmore\n";
  });
  await eventually("both runs", 60_000, async () => {
    const { stdout } = await cluster.kubectl(["logs", "talks", "-c", "two"]);
    return stdout === "second run\n";
  });
  expect(await logs("-c", "two", "--previous")).toBe("first run\n");
  expect(await logs("-c", "one")).toBe("one\nmore\n");
  expect(await logs("-c", "one", "--tail=1")).toBe("more\n");
  expect(await logs("-c", "one", "--limit-bytes=2")).toBe("on");
  const stamped = (await logs("-c", "one", "--timestamps")).trim().split("\n");
  const times = stamped.map((line) => line.split(" ")[0] ?? "");
  expect(times.map((time) => Number.isFinite(Date.parse(time)))).toEqual([true, true]);
  expect(await logs("-c", "one", `--since-time=${times[1]}`)).toBe("more\n");
  expect(await logs("-c", "one", "--since=1h")).toBe("one\nmore\n");
  await Bun.sleep(1_100);
  expect(await logs("-c", "one", "--since=1s")).toBe("");
  const all = (await logs("--all-containers", "--prefix")).trim().split("\n");
  const others = all.filter((line) => !line.startsWith("[pod/talks/look]"));
  expect(others.sort()).toEqual([
    "[pod/talks/one] more",
    "[pod/talks/one] one",
    "[pod/talks/two] second run",
  ]);
  const following = Bun.spawn(kubectl("logs", "talks", "-f", "--all-containers"), {
    stdout: "pipe",
    stderr: "ignore",
  });
  try {
    let text = "";
    for await (const chunk of following.stdout) {
      text += new TextDecoder().decode(chunk);
      if (["one\n", "more\n", "second run\n"].every((line) => text.includes(line))) break;
    }
    expect(text).toContain("second run");
  } finally {
    following.kill();
    await following.exited;
  }
}, 270_000);
