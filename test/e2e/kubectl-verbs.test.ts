/** The rest of kubectl's verbs and generators against the API alone: no controllers, no nodes. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { runProcess } from "#base/process.ts";
import { startServer, type TestServer } from "#test/support/server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
  await kubectl("create", "serviceaccount", "default");
});
afterAll(() => server.stop());

const env = (): Record<string, string> => ({ KUBECONFIG: server.kubeconfig, HOME: server.dir });

const tryKubectl = (argv: readonly string[], stdin = "") =>
  runProcess(["kubectl", ...argv], { env: env(), stdin });

async function given(stdin: string, ...argv: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await tryKubectl(argv, stdin);
  if (exitCode !== 0) throw new Error(`kubectl ${argv.join(" ")}: ${stderr}`);
  return stdout;
}

/** Standard output; throws with what kubectl said where it failed. */
const kubectl = (...argv: string[]): Promise<string> => given("", ...argv);

const path = (name: string, jsonpath: string): Promise<string> =>
  kubectl("get", ...name.split(" "), "-o", `jsonpath=${jsonpath}`);

/** A file in the server's folder. */
async function file(name: string, text: string): Promise<string> {
  const full = join(server.dir, name);
  mkdirSync(join(full, ".."), { recursive: true });
  await Bun.write(full, text);
  return full;
}

const configMap = (name: string, labels = "app: kept"): string =>
  `---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}, labels: {${labels}}}\n`;

async function keyPair(): Promise<{ key: string; cert: string }> {
  const [key, cert] = [join(server.dir, "tls.key"), join(server.dir, "tls.crt")];
  const subject = ["-subj", "/CN=a.example.com", "-days", "2"];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await runProcess(
    ["openssl", "req", "-x509", ...curve, "-keyout", key, "-out", cert, ...subject],
    { env: env() },
  );
  return { key, cert };
}

describe("create", () => {
  test.each([
    ["service nodeport np --tcp=80:80", "svc np", "{.spec.type}", "NodePort"],
    ["service loadbalancer lb --tcp=80:80", "svc lb", "{.spec.type}", "LoadBalancer"],
    [
      "service externalname en --external-name=a.example.com",
      "svc en",
      "{.spec.externalName}",
      "a.example.com",
    ],
    [
      "secret docker-registry dr --docker-username=u --docker-password=p --docker-server=s",
      "secret dr",
      "{.type}",
      "kubernetes.io/dockerconfigjson",
    ],
    ["deployment dep --image=web:1 --replicas=3 --port=80", "deploy dep", "{.spec.replicas}", "3"],
    ["quota qs --hard=pods=1 --scopes=BestEffort", "quota qs", "{.spec.scopes[0]}", "BestEffort"],
    [
      "clusterrole agg --aggregation-rule=a=b",
      "clusterrole agg",
      "{.aggregationRule.clusterRoleSelectors[0].matchLabels.a}",
      "b",
    ],
    [
      "role one --verb=get,list --resource=pods,deployments.apps --resource-name=x",
      "role one",
      "{.rules[*].resourceNames[0]}",
      "x x",
    ],
    [
      "clusterrolebinding crb --clusterrole=view --group=g --serviceaccount=default:default",
      "clusterrolebinding crb",
      "{.subjects[*].kind}",
      "Group ServiceAccount",
    ],
    [
      "ingress tls --class=nginx --rule=a.example.com/x*=svc:80,tls=secret",
      "ingress tls",
      "{.spec.tls[0].secretName}{.spec.rules[0].http.paths[0].pathType}",
      "secretPrefix",
    ],
    [
      "poddisruptionbudget pdb --selector=a=b --max-unavailable=50%",
      "pdb pdb",
      "{.spec.maxUnavailable}",
      "50%",
    ],
    [
      "priorityclass pc --value=7 --preemption-policy=Never",
      "pc pc",
      "{.preemptionPolicy}",
      "Never",
    ],
  ])("%s", async (args, name, jsonpath, value) => {
    expect(await kubectl("create", ...args.split(" "))).toContain("created");
    expect(await path(name, jsonpath)).toBe(value);
  });

  test("secrets of certificates, maps of files, jobs of cron jobs", async () => {
    const { key, cert } = await keyPair();
    await kubectl("create", "secret", "tls", "pair", `--key=${key}`, `--cert=${cert}`);
    expect(await path("secret pair", "{.type}")).toBe("kubernetes.io/tls");
    await kubectl("create", "configmap", "files", `--from-file=${await file("a.txt", "hello")}`);
    expect(await path("cm files", "{.data.a\\.txt}")).toBe("hello");
    await kubectl("create", "configmap", "envs", `--from-env-file=${await file("e.env", "A=b\n")}`);
    expect(await path("cm envs", "{.data.A}")).toBe("b");
    await kubectl("create", "cronjob", "tick", "--image=a", "--schedule=0 0 1 1 *", "--", "true");
    await kubectl("create", "job", "once", "--from=cronjob/tick");
    expect(await path("job once", "{.metadata.ownerReferences[0].kind}")).toBe("CronJob");
  });
});

describe("apply", () => {
  test("--prune takes away what is in the files no more", async () => {
    const prune = ["--prune", "-l", "app=kept", "--prune-allowlist=core/v1/ConfigMap"];
    await given(configMap("p1") + configMap("p2"), "apply", "-f", "-");
    const out = await given(configMap("p1"), "apply", "-f", "-", ...prune);
    expect(out).toContain("configmap/p2 pruned");
    expect(await kubectl("get", "cm", "-l", "app=kept", "-o", "name")).toBe("configmap/p1\n");
  });

  test("its last configuration is viewed and set", async () => {
    await given(configMap("last", "x: one"), "apply", "-f", "-");
    expect(await kubectl("apply", "view-last-applied", "cm/last")).toContain("x: one");
    const other = await file("last.yaml", configMap("last", "x: two"));
    await kubectl("apply", "set-last-applied", "-f", other);
    expect(await kubectl("apply", "view-last-applied", "cm/last")).toContain("x: two");
  });

  test("of a kustomization, and the kustomization itself", async () => {
    await file("kustom/cm.yaml", configMap("base", "a: b"));
    const text = "resources: [cm.yaml]\nnamePrefix: my-\nlabels: [{pairs: {team: x}}]\n";
    await file("kustom/kustomization.yaml", text);
    const folder = join(server.dir, "kustom");
    expect(await kubectl("kustomize", folder)).toContain("name: my-base");
    expect(await kubectl("apply", "-k", folder)).toBe("configmap/my-base created\n");
    expect(await path("cm my-base", "{.metadata.labels.team}")).toBe("x");
    expect(await kubectl("delete", "-k", folder)).toContain('"my-base" deleted');
  });

  test("by the server, over what was applied by the client", async () => {
    await given(configMap("move", "a: b"), "apply", "-f", "-");
    await given(configMap("move", "a: c"), "apply", "--server-side", "-f", "-");
    const managers = "{.metadata.managedFields[*].operation}";
    expect(await kubectl("get", "cm", "move", "-o", `jsonpath=${managers}`)).toContain("Apply");
    expect(await path("cm move", "{.metadata.labels.a}")).toBe("c");
  });
});

describe("set", () => {
  test("env, resources, image, service account, selector, subject", async () => {
    await kubectl("create", "deployment", "set", "--image=web:1");
    await kubectl("set", "env", "deploy/set", "A=b");
    await kubectl("set", "resources", "deploy/set", "--limits=cpu=200m,memory=64Mi");
    await kubectl("set", "image", "deploy/set", "web=web:2");
    await kubectl("set", "serviceaccount", "deploy/set", "robot");
    const spec = ".spec.template.spec";
    const all = `{${spec}.containers[0].env[0].value}{${spec}.containers[0].resources.limits.cpu}`;
    const more = `{${spec}.containers[0].image}{${spec}.serviceAccountName}`;
    expect(await path("deploy set", all + more)).toBe("b200mweb:2robot");
    expect(await kubectl("set", "env", "deploy/set", "--list")).toContain("A=b");
    await kubectl("create", "service", "clusterip", "chosen", "--tcp=80");
    await kubectl("set", "selector", "svc", "chosen", "app=other");
    expect(await path("svc chosen", "{.spec.selector.app}")).toBe("other");
    await kubectl("create", "rolebinding", "rb", "--clusterrole=view", "--user=a");
    await kubectl("set", "subject", "rolebinding", "rb", "--user=b");
    expect(await path("rolebinding rb", "{.subjects[*].name}")).toBe("a b");
  });

  test("rollouts are paused, resumed, restarted", async () => {
    await kubectl("create", "deployment", "roll", "--image=web:1");
    await kubectl("rollout", "pause", "deploy/roll");
    expect(await path("deploy roll", "{.spec.paused}")).toBe("true");
    await kubectl("rollout", "resume", "deploy/roll");
    await kubectl("rollout", "restart", "deploy/roll");
    const at = "{.spec.template.metadata.annotations.kubectl\\.kubernetes\\.io/restartedAt}";
    expect(await path("deploy roll", at)).toMatch(/^\d{4}-/);
  });
});

describe("get", () => {
  test("pages, sorts, templates, columns, managers, raw paths", async () => {
    const sorted = ["get", "ns", "--sort-by=.metadata.name", "-o", "name", "--chunk-size=2"];
    const names = (await kubectl(...sorted)).trim().split("\n");
    expect(names).toEqual([...names].sort());
    const template = "{{range .items}}{{.metadata.name}} {{end}}";
    expect(await kubectl("get", "ns", "-o", `go-template=${template}`)).toContain("kube-system ");
    const columns = "custom-columns=N:.metadata.name,P:.status.phase";
    expect(await kubectl("get", "ns", "default", "-o", columns)).toMatch(/N +P\ndefault +Active/);
    await kubectl("create", "configmap", "managed", "--from-literal=a=b");
    const managed = ["get", "cm", "managed", "-o", "yaml"];
    expect(await kubectl(...managed)).not.toContain("managedFields");
    expect(await kubectl(...managed, "--show-managed-fields")).toContain("managedFields");
    const raw = JSON.parse(await kubectl("get", "--raw", "/apis/apps/v1"));
    expect(raw.kind).toBe("APIResourceList");
    expect((await tryKubectl(["get", "--raw", "/nothing"])).stderr).toContain("could not find");
    expect(await kubectl("get", "cm,secrets", "-A", "-o", "name")).toContain("configmap/");
    expect(await kubectl("get", "cm", "managed", "--show-labels")).toContain("<none>");
    expect(await kubectl("get", "cm", "-l", "nothing in (x)", "-o", "name")).toBe("");
  });

  test("subresources", async () => {
    await kubectl("create", "deployment", "sub", "--image=web:1", "--replicas=2");
    const scale = [
      "get",
      "deploy",
      "sub",
      "--subresource=scale",
      "-o",
      "jsonpath={.spec.replicas}",
    ];
    expect(await kubectl(...scale)).toBe("2");
    const change = '{"spec":{"replicas":4}}';
    await kubectl("patch", "deploy", "sub", "--subresource=scale", "--type=merge", "-p", change);
    expect(await kubectl(...scale)).toBe("4");
    expect(await kubectl("get", "deploy", "sub", "--subresource=status")).toContain("sub");
    const status = (await kubectl("get", "deploy", "sub", "-o", "json")).replace(
      '"status": {}',
      '"status": {"replicas": 9}',
    );
    await given(status, "replace", "--subresource=status", "-f", "-");
    expect(await path("deploy sub", "{.status.replicas}")).toBe("9");
    await kubectl("run", "sized", "--image=a:1");
    const resized =
      '{"spec":{"containers":[{"name":"sized","resources":{"requests":{"cpu":"10m"}}}]}}';
    const refused = await tryKubectl([
      "patch",
      "pod",
      "sized",
      "--subresource=resize",
      "-p",
      resized,
    ]);
    // A pod that asked for nothing may not start to: its class would be another.
    expect(refused.stderr).toContain("QOS Class may not change");
  });

  test("explain, every level of it", async () => {
    const all = await kubectl("explain", "pods", "--recursive");
    for (const field of ["initContainers", "seccompProfile", "preferredDuringScheduling"]) {
      expect(all).toContain(field);
    }
    const older = ["explain", "hpa.spec.targetCPUUtilizationPercentage"];
    expect(await kubectl(...older, "--api-version=autoscaling/v1")).toContain("<integer>");
    expect((await tryKubectl(["explain", "pods.nothing"])).stderr).toContain("does not exist");
    expect(await kubectl("api-resources", "--verbs=deletecollection", "-o", "name")).not.toContain(
      "namespaces\n",
    );
    expect(await kubectl("api-resources", "--categories=all", "-o", "name")).toContain("pods\n");
    expect(await kubectl("api-resources", "--api-group=batch", "-o", "name")).toBe(
      "cronjobs.batch\njobs.batch\n",
    );
  });
});

describe("the rest", () => {
  test("certificate requests are approved and denied", async () => {
    const [key, request] = [join(server.dir, "u.key"), join(server.dir, "u.csr")];
    await runProcess(
      ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request].concat([
        "-subj",
        "/CN=user",
      ]),
      { env: env() },
    );
    const encoded = Buffer.from(await Bun.file(request).text()).toString("base64");
    for (const name of ["yes", "no"]) {
      const object = JSON.stringify({
        apiVersion: "certificates.k8s.io/v1",
        kind: "CertificateSigningRequest",
        metadata: { name },
        spec: {
          request: encoded,
          signerName: "kubernetes.io/kube-apiserver-client",
          usages: ["client auth"],
        },
      });
      await given(object, "create", "-f", "-");
    }
    expect(await kubectl("certificate", "approve", "yes")).toContain("approved");
    expect(await kubectl("certificate", "deny", "no")).toContain("denied");
    expect(await kubectl("get", "csr")).toMatch(/no .*Denied\nyes .*Approved/);
  });

  test("wait, in all its forms", async () => {
    await kubectl("create", "configmap", "waited", "--from-literal=a=b");
    await kubectl("wait", "--for=create", "cm/waited", "--timeout=120s");
    await kubectl("wait", "--for=jsonpath={.data.a}=b", "cm/waited", "--timeout=120s");
    await kubectl("wait", "--for=jsonpath={.data.a}", "cm/waited", "--timeout=120s");
    const late = await tryKubectl([
      "wait",
      "--for=jsonpath={.data.a}=c",
      "cm/waited",
      "--timeout=100ms",
    ]);
    expect(late.stderr).toContain("timed out waiting");
    const soon = kubectl("wait", "--for=create", "cm/later", "--timeout=120s");
    await kubectl("create", "configmap", "later");
    expect(await soon).toContain("condition met");
    const gone = kubectl("wait", "--for=delete", "cm/later", "--timeout=120s");
    await kubectl("delete", "cm", "later");
    await gone;
    await kubectl("create", "deployment", "cond", "--image=a");
    const status = '{"status":{"conditions":[{"type":"Available","status":"False"}]}}';
    await kubectl("patch", "deploy", "cond", "--subresource=status", "-p", status);
    await kubectl("wait", "--for=condition=Available=False", "deploy/cond", "--timeout=120s");
  });

  test("deletions leave, or take, what depends on the object", async () => {
    await kubectl("create", "configmap", "cascade");
    await kubectl("delete", "cm", "cascade", "--cascade=orphan", "--wait=false");
    expect(await path("cm cascade", "{.metadata.finalizers[0]}")).toBe("orphan");
    await kubectl(
      "patch",
      "cm",
      "cascade",
      "--type=merge",
      "-p",
      '{"metadata":{"finalizers":null}}',
    );
    expect((await tryKubectl(["get", "cm", "cascade"])).exitCode).toBe(1);
    await kubectl("create", "configmap", "dry");
    expect(await kubectl("delete", "cm", "dry", "--dry-run=server")).toContain("server dry run");
    await kubectl("delete", "cm", "--field-selector=metadata.name=dry");
    expect((await tryKubectl(["get", "cm", "dry"])).exitCode).toBe(1);
  });

  test("debug makes containers and copies", async () => {
    await kubectl("run", "patient", "--image=a:1");
    await kubectl("debug", "patient", "--image=b:1", "--container=doc", "--profile=general");
    expect(await path("pod patient", "{.spec.ephemeralContainers[0].name}")).toBe("doc");
    const copy = ["--copy-to=copied", "--image=c:1", "--container=tools", "--profile=general"];
    await kubectl("debug", "patient", ...copy);
    expect(await path("pod copied", "{.spec.containers[*].image}")).toBe("a:1 c:1");
    await given('{"apiVersion":"v1","kind":"Node","metadata":{"name":"ill"}}', "create", "-f", "-");
    await kubectl("debug", "node/ill", "--image=d:1", "--profile=sysadmin");
    const pods = await kubectl("get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}");
    expect(pods).toContain("ill");
  });

  test("events are told, of one object too", async () => {
    const event = (name: string, about: string): string =>
      JSON.stringify({
        apiVersion: "v1",
        kind: "Event",
        metadata: { name, namespace: "default" },
        involvedObject: { apiVersion: "v1", kind: "Pod", name: about, namespace: "default" },
        reason: "Seen",
        message: `about ${about}`,
        type: "Warning",
        lastTimestamp: new Date().toISOString(),
      });
    await given(event("e1", "x"), "create", "-f", "-");
    await given(event("e2", "y"), "create", "-f", "-");
    const told = await kubectl("events", "--for=pod/x", "--types=Warning");
    expect(told).toContain("about x");
    expect(told).not.toContain("about y");
    expect(await kubectl("get", "events", "--field-selector=involvedObject.name=y")).toContain(
      "Seen",
    );
  });

  test("cluster-info dump, config, version", async () => {
    expect(await kubectl("cluster-info", "dump", "--namespaces=default")).toContain('"PodList"');
    expect(await kubectl("config", "current-context")).toBe("test\n");
    expect(await kubectl("config", "view", "--minify")).toContain("DATA+OMITTED");
    expect(await kubectl("config", "get-contexts", "-o", "name")).toBe("test\n");
    expect(JSON.parse(await kubectl("version", "-o", "json")).serverVersion.minor).toBe("34");
    const top = await tryKubectl(["top", "pods"]);
    expect([top.exitCode, top.stderr]).toEqual([1, expect.stringMatching(/metrics/i)]);
  });

  test("proxy passes requests on", async () => {
    const child = Bun.spawn(["kubectl", "proxy", "--port=0"], {
      env: { ...process.env, ...env() },
      stdout: "pipe",
    });
    const { value } = await child.stdout.getReader().read();
    const url = /127\.0\.0\.1:\d+/.exec(new TextDecoder().decode(value))?.[0];
    const answer = await fetch(`http://${url}/api/v1/namespaces/default`);
    child.kill();
    await child.exited;
    expect(((await answer.json()) as { kind: string }).kind).toBe("Namespace");
  });
});
