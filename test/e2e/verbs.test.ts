/** Our own verbs say and do what kubectl does, word for word. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { webManifest } from "#test/e2e/web.ts";
import { eventually, freePort, type Instance, run, startInstance } from "#test/support/instance.ts";
import { BRAMBLE, type Result } from "#test/support/lab.ts";
import { spawnInTerminal } from "#test/support/terminal.ts";

const OBJECTS = `
apiVersion: v1
kind: ConfigMap
metadata: {name: words, labels: {tier: back}, annotations: {note: "a <b> & c"}}
data: {a: "1", b: "yes", c: "line1\\nline2\\n", d: "", e: "0x1f", f: " padded "}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden}
stringData: {password: hunter2}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: rare}
spec:
  schedule: "0 0 1 1 *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{name: main, image: "bramble.local/web:1", command: ["true"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: rich, labels: {app: rich}}
spec:
  terminationGracePeriodSeconds: 0
  initContainers:
    - {name: first, image: "bramble.local/web:1", imagePullPolicy: Never, command: ["true"]}
  containers:
    - name: main
      image: bramble.local/web:1
      imagePullPolicy: Never
      command: [sh, -c, "echo from main; sleep 1000"]
      env:
        - {name: PLAIN, value: text}
        - {name: FROM_MAP, valueFrom: {configMapKeyRef: {name: words, key: a}}}
        - {name: FROM_FIELD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
      resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 64Mi}}
      livenessProbe: {exec: {command: ["true"]}, periodSeconds: 30}
      volumeMounts: [{name: scratch, mountPath: /scratch}]
    - name: side
      image: bramble.local/web:1
      imagePullPolicy: Never
      command: [sh, -c, "echo from side; sleep 1000"]
  volumes: [{name: scratch, emptyDir: {}}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, shortNames: [wd]}
  versions:
    - name: v1
      served: true
      storage: true
      additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties: {size: {type: integer, description: How big.}, colour: {type: string}}
`;
const WIDGET = `
apiVersion: example.com/v1
kind: Widget
metadata: {name: w1}
spec: {size: 3, colour: red}
`;

let cluster: Instance;

const ours = (...argv: string[]) => cluster.bramble(argv);

beforeAll(async () => {
  cluster = await startInstance({ name: "verbs", images: ["1", "2"] });
  const made = await cluster.bramble(["apply", "-f", "-"], {
    stdin: webManifest({ nodePort: cluster.nodePort }),
  });
  expect(made).toEqual({
    exitCode: 0,
    stderr: "",
    stdout: "deployment.apps/web created\nservice/web created\n",
  });
  const more = await cluster.bramble(["apply", "-f", "-"], { stdin: OBJECTS });
  expect(more.stderr).toBe("");
  await eventually("the new kind is served", 60_000, async () => {
    return (await cluster.bramble(["apply", "-f", "-"], { stdin: WIDGET })).exitCode === 0;
  });
  const status = await ours("rollout", "status", "deployment/web", "--timeout=120s");
  expect(status).toMatchObject({ exitCode: 0, stderr: "" });
  expect(status.stdout).toEndWith(`deployment "web" successfully rolled out\n`);
  const ready = await ours("wait", "--for=condition=Ready", "pod/rich", "--timeout=120s");
  expect(ready.stdout).toBe("pod/rich condition met\n");
  await eventually("both have said their line", 60_000, async () => {
    const { stdout } = await ours("logs", "rich", "--all-containers");
    return stdout.includes("from main") && stdout.includes("from side");
  });
  // Lines in the making would differ between two looks.
  await eventually("all is quiet", 60_000, async () => {
    const look = () => cluster.must("get", "all,events", "-A", "-o", "name");
    const before = await look();
    await Bun.sleep(500);
    return before === (await look());
  });
}, 360_000);

afterAll(async () => {
  await cluster?.close();
}, 180_000);

/** Without ages and times, which go on between two runs, nor the room they take. */
const timeless = (text: string): string =>
  text
    .replace(/\b\d+[smhd](\d+[smh])?( ago)?\b/g, "AGE")
    .replace(/RenewTime:.*/g, "RenewTime")
    .replace(/[ -]{2,}/g, "  ");

const SAME: ReadonlyArray<string> = [
  "get pods",
  "get pods -o wide",
  "get pods --no-headers",
  "get pods --show-labels",
  "get pods -L app,tier",
  "get po,svc,deploy",
  "get all",
  "get all -A",
  "get nodes -o wide",
  "get ns",
  "get pod rich",
  "get pod/rich svc/web",
  "get deployments.apps web",
  "get deployments.v1.apps/web",
  "get pods -l app=web -o name",
  "get pods -l app=none",
  "get pods --field-selector=status.phase=Running",
  "get pods --sort-by=.metadata.name",
  "get cm -A",
  "get wd",
  "get widgets.example.com w1 -o yaml",
  "get cm words -o yaml",
  "get cm words -o json",
  "get deploy,svc -o yaml",
  "get pods -o json",
  "get deploy web -o yaml --show-managed-fields",
  "get pods -o jsonpath={.items[*].metadata.name}",
  "get pods -o jsonpath={.items[*].status.containerStatuses[?(@.name=='web')].ready}",
  "get svc web -o jsonpath={.spec.ports[0]}",
  "get cm words -o jsonpath={.metadata.annotations.note}",
  "get pods -o custom-columns=NAME:.metadata.name,IP:.status.podIP,NONE:.nothing",
  "get pod none",
  "get pod none --ignore-not-found",
  "get pods web none -A",
  "get gadgets",
  "api-resources",
  "api-resources --namespaced=false -o name",
  "describe deploy web",
  "describe rs",
  "describe pod rich",
  "describe pods",
  "describe svc web",
  "describe svc kubernetes",
  "describe endpointslices",
  "describe cm kube-root-ca.crt",
  "describe secret hidden",
  "describe cronjob rare",
  "describe ns default",
  "describe sa default",
  "describe node",
  "describe widget w1",
  "describe pod none",
  "rollout history deploy/web",
  "rollout status deploy/web",
  "logs rich -c side",
  "logs rich --all-containers --prefix",
  "logs rich -c none",
  "explain pod.spec",
  "explain pod.spec.containers.image",
  "explain deployments.apps.spec.strategy --recursive",
  "explain widget.spec",
  "wait --for=condition=Available deploy/web",
  "wait --for=delete pod/none",
  "wait --for=jsonpath={.status.phase}=Running pod/rich",
  "wait --for=condition=Nonsense pod/rich --timeout=100ms",
  "delete pod none",
  "delete cm words --dry-run=server",
  "scale deploy web --replicas=3 --current-replicas=7",
];

for (const line of SAME) {
  test(`kubectl ${line}`, async () => {
    const argv = line.split(" ");
    const shown = ({ stdout, stderr }: Result) => timeless(`${stdout}\n--\n${stderr}`);
    let [theirs, own] = [await cluster.kubectl(argv), await ours(...argv)];
    // The cluster may have changed between the two looks: what differs always is ours.
    for (let again = 0; again < 4 && shown(own) !== shown(theirs); again++) {
      [theirs, own] = [await cluster.kubectl(argv), await ours(...argv)];
    }
    expect(shown(own)).toBe(shown(theirs));
    // Wrong use is 2 with us.
    expect(own.exitCode === 0).toBe(theirs.exitCode === 0);
  });
}

test("apply tells created, configured and unchanged, also in turns with kubectl", async () => {
  const manifest = (value: string) =>
    `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: turns}\ndata: {a: "${value}"}`;
  const own = async (text: string) =>
    (await cluster.bramble(["apply", "-f", "-"], { stdin: text })).stdout;
  expect(await own(manifest("1"))).toBe("configmap/turns created\n");
  expect(await own(manifest("1"))).toBe("configmap/turns unchanged\n");
  expect(await cluster.apply(manifest("1"))).toBe("configmap/turns unchanged\n");
  expect(await own(manifest("2"))).toBe("configmap/turns configured\n");
  expect(await cluster.apply(manifest("3"))).toBe("configmap/turns configured\n");
  expect(await own(manifest("3"))).toBe("configmap/turns unchanged\n");
});

test("what a file no longer has goes, whoever applied it first", async () => {
  const head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fields}";
  const both = `${head}\ndata: {a: "1", b: "2"}`;
  const one = `${head}\ndata: {a: "1"}`;
  const data = () => cluster.must("get", "cm", "fields", "-o", "jsonpath={.data}");
  await cluster.apply(both);
  await cluster.bramble(["apply", "-f", "-"], { stdin: one });
  expect(await data()).toBe('{"a":"1"}');
  await cluster.bramble(["apply", "-f", "-"], { stdin: both });
  await cluster.apply(one);
  expect(await data()).toBe('{"a":"1"}');
});

test("a rollout is undone, restarted, held and released", async () => {
  await cluster.must("set", "image", "deployment/web", "web=bramble.local/web:2");
  await ours("rollout", "status", "deploy/web", "--timeout=120s");
  expect((await ours("rollout", "undo", "deploy/web")).stdout).toBe(
    "deployment.apps/web rolled back\n",
  );
  const done = await ours("rollout", "status", "deploy/web", "--timeout=120s");
  expect(done.stdout).toEndWith("successfully rolled out\n");
  const image = "jsonpath={.spec.template.spec.containers[0].image}";
  expect((await ours("get", "deploy", "web", "-o", image)).stdout).toBe("bramble.local/web:1");
  expect((await ours("rollout", "pause", "deploy/web")).stdout).toBe(
    "deployment.apps/web paused\n",
  );
  const twice = await ours("rollout", "pause", "deploy/web");
  expect(twice.stderr).toBe('error: deployments.apps "web" is already paused\n');
  expect((await ours("rollout", "resume", "deploy/web")).stdout).toBe(
    "deployment.apps/web resumed\n",
  );
  const restarted = await ours("rollout", "restart", "deploy/web");
  expect(restarted.stdout).toBe("deployment.apps/web restarted\n");
  await ours("rollout", "status", "deploy/web", "--timeout=120s");
}, 360_000);

test("scale and delete", async () => {
  expect((await ours("scale", "deploy/web", "--replicas=1")).stdout).toBe(
    "deployment.apps/web scaled\n",
  );
  await cluster.must("create", "configmap", "doomed");
  const gone = await ours("delete", "configmap", "doomed");
  expect(gone).toEqual({ exitCode: 0, stderr: "", stdout: 'configmap "doomed" deleted\n' });
  await cluster.must("run", "doomed", "--image=bramble.local/web:1", "--image-pull-policy=Never");
  expect((await ours("delete", "pod/doomed", "--now")).stdout).toBe('pod "doomed" deleted\n');
  expect((await cluster.kubectl(["get", "pod", "doomed"])).exitCode).toBe(1);
  // A selector that someone forgot the type of is no wish to delete the cluster.
  const forgotten = await ours("delete", "--all");
  expect(forgotten.exitCode).toBe(2);
  expect((await cluster.kubectl(["get", "nodes"])).exitCode).toBe(0);
}, 180_000);

test("get -w shows what comes", async () => {
  const env = { ...process.env, KUBECONFIG: cluster.kubeconfig };
  const child = Bun.spawn([BRAMBLE, "get", "cm", "-w", "--watch-only", "-o", "name"], {
    stdout: "pipe",
    env,
  });
  let text = "";
  const reading = (async () => {
    for await (const chunk of child.stdout) text += new TextDecoder().decode(chunk);
  })();
  try {
    await eventually("a change is shown", 60_000, async () => {
      await cluster.must("annotate", "cm", "words", `at=${Math.random()}`, "--overwrite");
      return text.includes("configmap/words\n");
    });
  } finally {
    child.kill();
    await reading;
  }
}, 360_000);

test("exec passes input and status, and is a terminal with -it", async () => {
  const failed = await ours(
    "exec",
    "deploy/web",
    "--",
    "sh",
    "-c",
    "echo out; echo err >&2; exit 7",
  );
  expect(failed).toEqual({
    exitCode: 7,
    stdout: "out\n",
    stderr: "err\ncommand terminated with exit code 7\n",
  });
  const stdin = Array.from({ length: 20_000 }, (_, at) => `line ${at}`).join("\n");
  const echoed = await cluster.bramble(["exec", "-i", "deploy/web", "--", "cat"], { stdin });
  expect(echoed.stdout === stdin).toBe(true);
  const env = { KUBECONFIG: cluster.kubeconfig };
  const terminal = spawnInTerminal([BRAMBLE, "exec", "-it", "deploy/web", "--", "sh"], env);
  await terminal.until(/# /);
  terminal.type("tty; echo $((40+2))\r");
  await terminal.until(/\/dev\/pts\/\d+\r\n42\r\n/);
  terminal.type("exit 3\r");
  expect(await terminal.exited).toBe(3);
}, 180_000);

test("cp carries files and folders both ways", async () => {
  const here = join(cluster.dir, "cp");
  mkdirSync(join(here, "folder/deep"), { recursive: true });
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  writeFileSync(join(here, "blob"), bytes);
  writeFileSync(join(here, "folder/deep/note"), "hello\n");
  for (const argv of [
    [join(here, "blob"), "rich:/scratch/renamed"],
    [join(here, "folder"), "rich:/scratch"],
    ["rich:/scratch/renamed", join(here, "back")],
    ["default/rich:/scratch/folder", join(here, "tree")],
  ]) {
    expect(await ours("cp", "-c", "main", ...argv)).toEqual({
      exitCode: 0,
      stdout: "",
      stderr: "",
    });
  }
  expect(readFileSync(join(here, "back")).equals(bytes)).toBe(true);
  expect(readFileSync(join(here, "tree/deep/note"), "utf8")).toBe("hello\n");
  const missing = await ours("cp", "-c", "main", "rich:/none", join(here, "none"));
  expect(missing.exitCode).toBe(1);
  expect(existsSync(join(here, "none"))).toBe(false);
}, 180_000);

test("port-forward leads into a pod behind a Service", async () => {
  const port = await freePort();
  const env = { ...process.env, KUBECONFIG: cluster.kubeconfig };
  const argv = [BRAMBLE, "port-forward", "service/web", `${port}:80`];
  const child = Bun.spawn(argv, { stdout: "pipe", stderr: "inherit", env });
  try {
    const answer = await eventually("it answers", 60_000, async () =>
      (await fetch(`http://127.0.0.1:${port}/`, { keepalive: false })).text(),
    );
    expect(answer).toStartWith("hello from web-");
  } finally {
    child.kill();
  }
  const text = await new Response(child.stdout).text();
  expect(text).toContain(`Forwarding from 127.0.0.1:${port} -> 8080\n`);
  expect(text).toContain(`Handling connection for ${port}\n`);
}, 360_000);

test("a reader that leaves early is no failure of ours", async () => {
  const line = `${BRAMBLE} get pods -o json --kubeconfig ${cluster.kubeconfig} | head -n 1`;
  expect(await run(["sh", "-c", line])).toEqual({ exitCode: 0, stdout: "{\n", stderr: "" });
});
