/** Running containers by the unmodified kubectl: attach, terminals and their sizes, past lives. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { eventually, type Instance, startInstance } from "#test/support/instance.ts";
import { spawnInTerminal, type Terminal } from "#test/support/terminal.ts";

let cluster: Instance;

beforeAll(async () => {
  cluster = await startInstance({ name: "attach", images: ["1"] });
}, 270_000);

afterAll(async () => {
  await cluster?.close();
}, 180_000);

const pod = (name: string, container: string, restartPolicy = "Always"): string => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}}
spec:
  terminationGracePeriodSeconds: 0
  restartPolicy: ${restartPolicy}
  containers:
  - name: main
    image: bramble.local/web:1
    imagePullPolicy: Never
${container.replaceAll(/^/gm, "    ")}
`;

async function started(manifest: string, name: string): Promise<void> {
  await cluster.apply(manifest);
  await cluster.must("wait", "--for=condition=Ready", `pod/${name}`, "--timeout=120s");
}

const field = (name: string, path: string): Promise<string> =>
  cluster.must("get", "pod", name, "-o", `jsonpath={${path}}`);

const inTerminal = (...argv: string[]): Terminal =>
  spawnInTerminal(["kubectl", "--kubeconfig", cluster.kubeconfig, ...argv]);

test("attach hands over input, and its end ends a program that reads it once", async () => {
  const reader = `stdin: true
stdinOnce: true
command: [sh, -c, 'n=0; while read line; do n=$((n+1)); done; echo $n lines, $line; exit 3']`;
  await started(pod("reader", reader, "Never"), "reader");
  const lines = Array.from({ length: 20_000 }, (_, at) => `line ${at}`).join("\n");
  const stdin = `${lines}\nlast`;
  const attached = await cluster.kubectl(["attach", "-i", "reader"], { stdin });
  expect(attached.stdout).toBe("20000 lines, last\n");
  const code = ".status.containerStatuses[0].state.terminated.exitCode";
  await eventually("its end is told", 60_000, async () => (await field("reader", code)) === "3");
}, 450_000);

test("attach -it is the container's own terminal, and its end leaves it running", async () => {
  await started(pod("shell", "stdin: true\ntty: true\ncommand: [sh]"), "shell");
  const first = inTerminal("attach", "-it", "shell");
  first.type("where=here; tty\r");
  await first.until(/\/dev\/(console|pts\/\d+)\r\n/);
  first.resize(132, 43);
  await eventually("its size is that of the window", 60_000, async () => {
    first.type("stty size\r");
    return (await first.until(/\d+ \d+\r\n/)) === "43 132\r\n";
  });
  first.hangUp();
  await first.exited;
  const again = inTerminal("attach", "-it", "shell");
  again.type("echo still $where\r");
  await again.until(/still here\r\n/);
  expect(await field("shell", ".status.containerStatuses[0].restartCount")).toBe("0");
  again.type("exit\r");
  await again.exited;
  const restarts = ".status.containerStatuses[0].restartCount";
  await eventually("a new one", 60_000, async () => (await field("shell", restarts)) === "1");
}, 450_000);

test("run -it --rm starts a pod, is its terminal, tells its status and removes it", async () => {
  const image = ["--image=bramble.local/web:1", "--image-pull-policy=Never"];
  const argv = ["run", "once", "-it", "--rm", "--restart=Never", ...image, "--", "sh"];
  const terminal = inTerminal(...argv);
  await eventually("its prompt", 60_000, async () => {
    terminal.type("\r");
    return terminal.until(/# /);
  });
  terminal.type("echo $((40+2)); exit 5\r");
  await terminal.until(/42\r\n/);
  expect(await terminal.exited).toBe(5);
  const left = await cluster.kubectl(["get", "pod", "once"]);
  expect(left.stderr).toContain('pods "once" not found');
}, 450_000);

test("exec -it has the size of the window from the start, and follows it", async () => {
  await started(pod("sized", "command: [sleep, '100000']"), "sized");
  const script = "trap 'stty size' WINCH; stty size; while true; do sleep 0.05; done";
  const terminal = inTerminal("exec", "-it", "sized", "--", "sh", "-c", script);
  await terminal.until(/24 80\r\n/);
  terminal.resize(100, 30);
  await terminal.until(/30 100\r\n/);
  terminal.resize(80, 24);
  await terminal.until(/24 80\r\n/);
  // Ctrl-C goes to the program, not to kubectl.
  terminal.type("\x03");
  expect(await terminal.exited).toBe(130);
}, 450_000);

test("logs --previous shows the life before this one", async () => {
  const living = `command: [sh, -c, 'test -e /d/x && echo second && exec sleep 100000;
  echo first; touch /d/x; exit 1']
volumeMounts: [{name: d, mountPath: /d}]`;
  const volumes = "  volumes: [{name: d, emptyDir: {}}]\n";
  await cluster.apply(pod("twice", living) + volumes);
  await eventually("its second life", 60_000, async () => {
    return (await cluster.must("logs", "twice")) === "second\n";
  });
  expect(await cluster.must("logs", "twice", "--previous")).toBe("first\n");
  expect(await cluster.must("logs", "twice", "-p", "--prefix", "--timestamps")).toMatch(
    /^\[pod\/twice\/main\] \d{4}-\d\d-\d\dT\S+Z first\n$/,
  );
  await started(pod("newborn", "command: [sleep, '100000']"), "newborn");
  const none = await cluster.kubectl(["logs", "newborn", "--previous"]);
  expect(none.exitCode).toBe(1);
  expect(none.stderr).toContain('previous terminated container "main" in pod "newborn" not found');
}, 450_000);

/** What came on each channel of v5.channel.k8s.io, until the other side ended. */
async function viaNode(path: string, input: string): Promise<string[]> {
  const user = "jsonpath={.users[0].user.token}";
  const token = await cluster.must("config", "view", "--raw", "-o", user);
  const socket = new WebSocket(`wss://127.0.0.1:${cluster.port}/api/v1/nodes/e2e/proxy${path}`, {
    headers: { authorization: `Bearer ${token}` },
    protocols: ["v5.channel.k8s.io"],
    tls: { rejectUnauthorized: false },
  } as unknown as string[]);
  socket.binaryType = "arraybuffer";
  const texts = ["", "", "", ""];
  socket.onopen = () => {
    socket.send(Buffer.from([0, ...Buffer.from(input)]));
    socket.send(Buffer.from([255, 0]));
  };
  socket.onmessage = ({ data }) => {
    const [kind = 0, ...bytes] = new Uint8Array(data as ArrayBuffer);
    texts[kind] += Buffer.from(bytes).toString();
  };
  await new Promise<void>((done, fail) => {
    socket.onclose = () => done();
    socket.onerror = () => fail(new Error("refused"));
  });
  return texts;
}

test("the node proxy runs commands and attaches as the kubelet's own API does", async () => {
  const command = "stdin: true\nstdinOnce: true\ncommand: [sh, -c, 'cat; echo over']";
  await started(pod("proxied", command, "Never"), "proxied");
  const words = ["sh", "-c", "echo got $(cat); echo bad >&2; exit 7"];
  const query = new URLSearchParams({ input: "1", output: "1", error: "1" });
  for (const word of words) query.append("command", word);
  const [, out, err, status = ""] = await viaNode(`/exec/default/proxied/main?${query}`, "this");
  expect([out, err]).toEqual(["got this\n", "bad\n"]);
  expect(JSON.parse(status).details.causes[0]).toEqual({ reason: "ExitCode", message: "7" });
  const attach = "/attach/default/proxied/main?input=1&output=1&error=1";
  expect((await viaNode(attach, "to the container\n"))[1]).toBe("to the container\nover\n");
  expect(viaNode("/exec/default/none/main?output=1&command=true", "")).rejects.toThrow();
}, 450_000);
