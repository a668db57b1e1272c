/** The unmodified kubectl against the compiled binary: what people do every day. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { webManifest } from "#test/e2e/web.ts";
import { eventually, type Instance, startInstance } from "#test/support/instance.ts";
import { spawnInTerminal } from "#test/support/terminal.ts";

let cluster: Instance;

beforeAll(async () => {
  cluster = await startInstance({ name: "kubectl", images: ["1", "2"] });
  await cluster.apply(webManifest({ nodePort: cluster.nodePort }));
  await cluster.must("rollout", "status", "deployment/web", "--timeout=120s");
}, 270_000);

afterAll(async () => {
  await cluster?.close();
}, 180_000);

const names = async (selector: string): Promise<string[]> => {
  const path = "jsonpath={.items[*].metadata.name}";
  const text = await cluster.must("get", "pods", "-l", selector, "-o", path);
  return text.split(" ").filter((name) => name !== "");
};

const clusterIp = (name: string): Promise<string> =>
  cluster.must("get", "service", name, "-o", "jsonpath={.spec.clusterIP}");

test("a Service answers from all of its pods, by cluster address and node port", async () => {
  const pods = await names("app=web");
  const node = await cluster.must(
    ...[
      "get",
      "nodes",
      "-o",
      "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}",
    ],
  );
  for (const url of [`http://${await clusterIp("web")}/`, `http://${node}:${cluster.nodePort}/`]) {
    const seen = new Set<string>();
    await eventually(`${url} answers from 3 pods`, 60_000, async () => {
      seen.add((await (await fetch(url, { keepalive: false })).text()).trim());
      return seen.size === 3;
    });
    expect([...seen].sort()).toEqual(pods.map((pod) => `hello from ${pod}`).sort());
  }
});

test("scale changes the number of pods, up and down", async () => {
  expect(await cluster.must("scale", "deployment/web", "--replicas=5")).toBe(
    "deployment.apps/web scaled\n",
  );
  await cluster.must("rollout", "status", "deployment/web", "--timeout=120s");
  expect(await names("app=web")).toHaveLength(5);
  await cluster.must("scale", "deployment/web", "--replicas=3");
  await eventually("3 pods are left", 60_000, async () => (await names("app=web")).length === 3);
});

test("a killed container is started again, a deleted pod replaced", async () => {
  const [victim = "", doomed = ""] = await names("app=web");
  // The server is a child of the container's first process, which ends when that child does.
  await cluster.must("exec", victim, "--", "sh", "-c", "kill $(pidof httpd)");
  await eventually("the container runs again", 60_000, async () => {
    const path =
      "jsonpath={.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].ready}";
    return (await cluster.must("get", "pod", victim, "-o", path)) === "1 true";
  });
  await cluster.must("delete", "pod", doomed);
  const left = await eventually("there are 3 pods", 60_000, async () => {
    const now = await names("app=web");
    return now.length === 3 && now;
  });
  expect(left).not.toContain(doomed);
  await cluster.must("rollout", "status", "deployment/web", "--timeout=120s");
}, 180_000);

test("rollout undo brings the old image back", async () => {
  const image = () =>
    cluster.must(
      "get",
      "deployment",
      "web",
      "-o",
      "jsonpath={.spec.template.spec.containers[0].image}",
    );
  await cluster.must("set", "image", "deployment/web", "web=bramble.local/web:2");
  await cluster.must("rollout", "status", "deployment/web", "--timeout=120s");
  expect(await image()).toBe("bramble.local/web:2");
  expect(await cluster.must("rollout", "history", "deployment/web")).toMatch(/\n1 .*\n2 /);
  expect(await cluster.must("rollout", "undo", "deployment/web")).toContain("rolled back");
  await cluster.must("rollout", "status", "deployment/web", "--timeout=120s");
  expect(await image()).toBe("bramble.local/web:1");
  const running = "jsonpath={.items[*].spec.containers[0].image}";
  const images = await eventually("only the old image runs", 60_000, async () => {
    const all = (await cluster.must("get", "pods", "-l", "app=web", "-o", running)).split(" ");
    return all.length === 3 && all;
  });
  expect(new Set(images)).toEqual(new Set(["bramble.local/web:1"]));
}, 270_000);

const LOGGER = `
apiVersion: v1
kind: Pod
metadata: {name: logger}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: main
      image: bramble.local/web:1
      imagePullPolicy: Never
      command: [sh, -c, "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.1; done"]
`;

test("logs, and logs -f as they are written", async () => {
  await cluster.apply(LOGGER);
  await cluster.must("wait", "--for=condition=Ready", "pod/logger", "--timeout=120s");
  const first = await eventually("a line", 60_000, () =>
    cluster.must("logs", "logger", "--limit-bytes=7").then((text) => text || undefined),
  );
  expect(first).toBe("line 1\n");
  const argv = ["kubectl", "--kubeconfig", cluster.kubeconfig, "logs", "-f", "logger"];
  const child = Bun.spawn(argv, { stdout: "pipe", stderr: "pipe" });
  try {
    let text = "";
    for await (const chunk of child.stdout) {
      text += new TextDecoder().decode(chunk);
      if (text.split("\n").length > 20) break;
    }
    const lines = text.split("\n").slice(0, 20);
    expect(lines).toEqual(Array.from({ length: 20 }, (_, at) => `line ${at + 1}`));
  } finally {
    child.kill();
    await child.exited;
  }
  await cluster.must("delete", "pod", "logger");
}, 180_000);

test("exec passes input, output and the exit status", async () => {
  const run = (...command: string[]) => cluster.kubectl(["exec", "deploy/web", "--", ...command]);
  const failed = await run("sh", "-c", "echo out; echo err >&2; exit 7");
  expect(failed.stdout).toBe("out\n");
  expect(failed.stderr).toStartWith("err\n");
  expect(failed.exitCode).toBe(7);
  const text = Array.from({ length: 20_000 }, (_, at) => `line ${at}`).join("\n");
  const echoed = await cluster.kubectl(["exec", "-i", "deploy/web", "--", "cat"], { stdin: text });
  expect(echoed.stdout === text).toBe(true);
});

test("exec -it is a terminal", async () => {
  const argv = [
    "kubectl",
    "--kubeconfig",
    cluster.kubeconfig,
    "exec",
    "-it",
    "deploy/web",
    "--",
    "sh",
  ];
  const terminal = spawnInTerminal(argv);
  await terminal.until(/# /);
  terminal.type("tty; echo $((40+2))\r");
  await terminal.until(/\/dev\/pts\/\d+\r\n42\r\n/);
  terminal.type("exit 3\r");
  expect(await terminal.exited).toBe(3);
}, 360_000);

test("get -w shows changes as they come", async () => {
  const argv = ["kubectl", "--kubeconfig", cluster.kubeconfig, "get", "configmaps", "-w"];
  const child = Bun.spawn([...argv, "--watch-only", "-o", "name"], { stdout: "pipe" });
  const lines: string[] = [];
  const reading = (async () => {
    for await (const chunk of child.stdout) {
      lines.push(...new TextDecoder().decode(chunk).trim().split("\n"));
    }
  })();
  try {
    await cluster.must("create", "configmap", "before-watch");
    await eventually("the watch shows the new object", 60_000, async () => {
      await cluster.must(
        "annotate",
        "configmap",
        "before-watch",
        `at=${lines.length}-${Math.random()}`,
      );
      return lines.length > 0;
    });
    await cluster.must("create", "configmap", "watched");
    await eventually("and the next", 60_000, async () => lines.includes("configmap/watched"));
  } finally {
    child.kill();
    await reading;
  }
}, 360_000);

test("diff shows what apply would change, and changes nothing", async () => {
  const manifest = webManifest({ nodePort: cluster.nodePort, greeting: "changed" });
  const found = await cluster.kubectl(["diff", "-f", "-"], { stdin: manifest });
  expect(found.exitCode).toBe(1);
  expect(found.stdout).toMatch(/-\s+value: hello\n\+\s+value: changed/);
  const path = "jsonpath={.spec.template.spec.containers[0].env[0].value}";
  expect(await cluster.must("get", "deployment", "web", "-o", path)).toBe("hello");
});

test("edit writes what an editor made of it", async () => {
  await cluster.must("create", "configmap", "edited", "--from-literal=key=before");
  const env = { EDITOR: "sed -i s/before/after/" };
  const edited = await cluster.kubectl(["edit", "configmap", "edited"], { env });
  expect(edited.stdout).toContain("edited");
  expect(await cluster.must("get", "configmap", "edited", "-o", "jsonpath={.data.key}")).toBe(
    "after",
  );
});

test("patch, label, annotate and replace change one object", async () => {
  await cluster.must("create", "configmap", "changed", "--from-literal=a=1");
  await cluster.must("patch", "configmap", "changed", "-p", '{"data":{"b":"2"}}');
  const json = '[{"op":"remove","path":"/data/a"}]';
  await cluster.must("patch", "configmap", "changed", "--type=json", "-p", json);
  await cluster.must("label", "configmap", "changed", "tier=back");
  await cluster.must("annotate", "configmap", "changed", "note=this");
  const found = JSON.parse(await cluster.must("get", "configmap", "changed", "-o", "json"));
  expect(found.data).toEqual({ b: "2" });
  expect(found.metadata.labels).toEqual({ tier: "back" });
  expect(found.metadata.annotations).toEqual({ note: "this" });
});

test("wait returns when a condition holds, and fails when time is over", async () => {
  const ready = await cluster.must(
    "wait",
    "--for=condition=Available",
    "deployment/web",
    "--timeout=120s",
  );
  expect(ready).toBe("deployment.apps/web condition met\n");
  const late = await cluster.kubectl(["wait", "--for=delete", "deployment/web", "--timeout=200ms"]);
  expect(late.exitCode).toBe(1);
  expect(late.stderr).toContain("timed out waiting for the condition");
});

test("explain, api-resources and dry runs work", async () => {
  expect(await cluster.must("explain", "pod.spec.containers.image")).toContain(
    "FIELD: image <string>",
  );
  expect(await cluster.must("api-resources")).toMatch(
    /deployments +deploy +apps\/v1 +true +Deployment/,
  );
  const made = await cluster.must("create", "configmap", "never", "--dry-run=server", "-o", "name");
  expect(made).toBe("configmap/never\n");
  const found = await cluster.kubectl(["get", "configmap", "never"]);
  expect(found.stderr).toBe('Error from server (NotFound): configmaps "never" not found\n');
});
