/** The API alone, as the real kubectl finds it: no controllers, no nodes. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { runProcess } from "#base/process.ts";
import { eventually } from "#test/support/instance.ts";
import { startServer, type TestServer } from "#test/support/server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

const env = (): Record<string, string> => ({
  KUBECONFIG: server.kubeconfig,
  HOME: server.dir,
  KUBE_EDITOR: "sed -i s/edited=no/edited=yes/",
});

/** Standard output; throws with what kubectl said where it failed. */
async function kubectl(args: string, stdin = ""): Promise<string> {
  const { exitCode, stdout, stderr } = await tryKubectl(args, stdin);
  if (exitCode !== 0) throw new Error(`kubectl ${args}: ${stderr}`);
  return stdout;
}

const tryKubectl = (args: string, stdin = "") =>
  runProcess(
    [
      "kubectl",
      ...(args.match(/(?:'[^']*'|[^\s'])+/g) ?? []).map((word) => word.replaceAll("'", "")),
    ],
    {
      env: env(),
      stdin,
    },
  );

const deployment = (name: string, image = "web:1"): string =>
  JSON.stringify({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, annotations: { note: "edited=no" } },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: "web", image }] },
      },
    },
  });

describe("reading", () => {
  test("version, resources, versions, cluster", async () => {
    expect(await kubectl("version")).toContain("Server Version: v1.34.4+bramble");
    const resources = await kubectl("api-resources");
    for (const word of ["deployments", "deploy", "apps/v1", "CustomResourceDefinition"]) {
      expect(resources).toContain(word);
    }
    expect(await kubectl("api-versions")).toContain("autoscaling/v2");
    expect(await kubectl("cluster-info")).toContain("is running at");
    expect(await kubectl("get --raw /readyz")).toBe("ok");
  });

  test("explain", async () => {
    const text = await kubectl("explain pod.spec.containers");
    expect(text).toContain("KIND:       Pod");
    expect(text).toContain("imagePullPolicy\t<string>");
    expect(await kubectl("explain deployment --recursive")).toContain(
      "rollingUpdate\t<RollingUpdateDeployment>",
    );
  });

  test("tables, wide, json, yaml, jsonpath, names", async () => {
    await kubectl("create deployment reads --image=web:1");
    expect(await kubectl("get deployments")).toMatch(
      /NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nreads +0\/1/,
    );
    expect(await kubectl("get deploy reads -o wide")).toMatch(
      /CONTAINERS +IMAGES +SELECTOR\n.*web +web:1 +app=reads/,
    );
    expect(JSON.parse(await kubectl("get deploy reads -o json")).kind).toBe("Deployment");
    expect(await kubectl("get deploy reads -o yaml")).toContain("progressDeadlineSeconds: 600");
    expect(await kubectl("get deploy reads -o jsonpath={.spec.replicas}")).toBe("1");
    expect(await kubectl("get deploy -l app=reads -o name")).toBe("deployment.apps/reads\n");
    expect(await kubectl("get ns -A --chunk-size=1")).toContain("kube-system");
    expect((await tryKubectl("get deploy nope")).stderr).toContain(
      'deployments.apps "nope" not found',
    );
  });

  test("watches print what changes", async () => {
    const child = Bun.spawn(["kubectl", "get", "cm", "-w", "--no-headers", "-o", "name"], {
      env: { ...process.env, ...env() },
      stdout: "pipe",
    });
    let seen = "";
    const reading = (async () => {
      for await (const chunk of child.stdout) seen += new TextDecoder().decode(chunk);
    })();
    try {
      // The watch stands once it has shown something: names are made until one is seen.
      let made = 0;
      await eventually("a new name", 60_000, async () => {
        await kubectl(`create configmap watched-${made++}`);
        return seen.includes("configmap/watched-");
      });
    } finally {
      child.kill();
      await reading;
    }
  });
});

describe("creating", () => {
  test.each([
    ["configmap c1 --from-literal=a=b", "cm/c1", "{.data.a}", "b"],
    ["secret generic s1 --from-literal=a=b", "secret/s1", "{.data.a}", "Yg=="],
    ["namespace n1", "ns/n1", "{.status.phase}", "Active"],
    ["serviceaccount sa1", "sa/sa1", "{.metadata.name}", "sa1"],
    ["service clusterip svc1 --tcp=80:8080", "svc/svc1", "{.spec.ports[0].targetPort}", "8080"],
    ["job j1 --image=busybox -- true", "job/j1", "{.spec.template.spec.restartPolicy}", "Never"],
    [
      "cronjob cj1 --image=busybox --schedule='*/5 * * * *' -- true",
      "cronjob/cj1",
      "{.spec.schedule}",
      "*/5 * * * *",
    ],
    ["role r1 --verb=get --resource=pods", "role/r1", "{.rules[0].resources[0]}", "pods"],
    ["rolebinding rb1 --role=r1 --user=bob", "rolebinding/rb1", "{.subjects[0].name}", "bob"],
    [
      "clusterrole cr1 --verb=get --non-resource-url=/x",
      "clusterrole/cr1",
      "{.rules[0].nonResourceURLs[0]}",
      "/x",
    ],
    ["ingress i1 --rule='a.b/*=svc1:80'", "ingress/i1", "{.spec.rules[0].host}", "a.b"],
    ["quota q1 --hard=pods=3", "quota/q1", "{.spec.hard.pods}", "3"],
    [
      "poddisruptionbudget p1 --selector=a=b --min-available=1",
      "pdb/p1",
      "{.spec.minAvailable}",
      "1",
    ],
    ["priorityclass pc1 --value=5", "priorityclass/pc1", "{.value}", "5"],
  ])("%s", async (args, name, path, value) => {
    expect(await kubectl(`create ${args}`)).toContain("created");
    expect(await kubectl(`get ${name} -o jsonpath=${path}`)).toBe(value);
  });

  test("run, expose, autoscale", async () => {
    await kubectl("run web --image=web:1 --port=80 --labels=app=web");
    await kubectl("expose pod web --port=80");
    expect(await kubectl("get svc web -o jsonpath={.spec.selector.app}")).toBe("web");
    await kubectl("create deployment scaled --image=web:1");
    await kubectl("autoscale deployment scaled --max=3");
    expect(await kubectl("get hpa scaled -o jsonpath={.spec.maxReplicas}")).toBe("3");
  });

  test("unknown fields are refused, or told", async () => {
    const odd = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"odd"},"stray":1}';
    expect((await tryKubectl("create -f -", odd)).stderr).toContain('unknown field "stray"');
    const warned = await tryKubectl("create --validate=warn -f -", odd);
    expect([warned.exitCode, warned.stderr]).toEqual([
      0,
      expect.stringContaining('unknown field "stray"'),
    ]);
  });

  test("a dry run of the server leaves nothing", async () => {
    expect(await kubectl("create cm dry --dry-run=server -o name")).toBe("configmap/dry\n");
    expect((await tryKubectl("get cm dry")).exitCode).toBe(1);
  });
});

test("what the server warns of is told, once", async () => {
  const manifest = JSON.parse(deployment("warned", "web:1"));
  manifest.spec.template.spec.nodeSelector = { "beta.kubernetes.io/os": "linux" };
  const { exitCode, stderr } = await tryKubectl("apply -f -", JSON.stringify(manifest));
  expect([exitCode, stderr]).toEqual([
    0,
    "Warning: spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; " +
      'use "kubernetes.io/os" instead\n',
  ]);
  await kubectl("delete deployment warned");
});

describe("changing", () => {
  test("apply, diff, apply again", async () => {
    expect(await kubectl("apply -f -", deployment("app"))).toContain("created");
    expect(await kubectl("apply -f -", deployment("app"))).toContain("unchanged");
    const diff = await tryKubectl("diff -f -", deployment("app", "web:2"));
    expect([diff.exitCode, diff.stdout]).toEqual([1, expect.stringContaining("image: web:2")]);
    expect(await kubectl("apply -f -", deployment("app", "web:2"))).toContain("configured");
    expect(await kubectl("get deploy app -o jsonpath={.metadata.generation}")).toBe("2");
  });

  test("server-side apply, its conflicts and its force", async () => {
    await kubectl("apply --server-side -f -", deployment("ssa"));
    await kubectl("scale deployment ssa --replicas=5");
    const conflict = await tryKubectl("apply --server-side -f -", deployment("ssa"));
    expect(conflict.stderr).toContain("Apply failed with 1 conflict");
    expect(conflict.stderr).toContain(".spec.replicas");
    await kubectl("apply --server-side --force-conflicts -f -", deployment("ssa"));
    expect(await kubectl("get deploy ssa -o jsonpath={.spec.replicas}")).toBe("2");
  });

  test("patches of every kind", async () => {
    await kubectl("apply -f -", deployment("pat"));
    const strategic =
      '{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"A","value":"b"}]}]}}}}';
    await kubectl(`patch deploy pat -p '${strategic}'`);
    const path =
      "{.spec.template.spec.containers[0].image}{.spec.template.spec.containers[0].env[0].value}";
    expect(await kubectl(`get deploy pat -o jsonpath=${path}`)).toBe("web:1b");
    await kubectl(`patch deploy pat --type=merge -p '{"spec":{"replicas":7}}'`);
    await kubectl(
      `patch deploy pat --type=json -p '[{"op":"add","path":"/metadata/labels","value":{"x":"y"}}]'`,
    );
    await kubectl(`patch deploy pat --subresource=status -p '{"status":{"replicas":7}}'`);
    expect(
      await kubectl(
        "get deploy pat -o jsonpath={.spec.replicas}{.metadata.labels.x}{.status.replicas}",
      ),
    ).toBe("7y7");
  });

  test("edit, label, annotate, set image, scale, replace", async () => {
    await kubectl("apply -f -", deployment("edi"));
    await kubectl("edit deploy edi");
    expect(await kubectl("get deploy edi -o jsonpath={.metadata.annotations.note}")).toBe(
      "edited=yes",
    );
    await kubectl("label deploy edi tier=front");
    await kubectl("annotate deploy edi who=me");
    await kubectl("set image deploy/edi web=web:9");
    await kubectl("scale deploy edi --replicas=0");
    const path = "{.metadata.labels.tier}{.metadata.annotations.who}{.spec.replicas}";
    expect(await kubectl(`get deploy edi -o jsonpath=${path}`)).toBe("frontme0");
    await kubectl("replace -f -", deployment("edi", "web:3"));
    await kubectl("replace --force -f -", deployment("edi", "web:4"));
    expect(await kubectl("get deploy edi -o jsonpath={.metadata.generation}")).toBe("1");
  });

  test("taint, cordon, drain's eviction", async () => {
    await kubectl("create -f -", '{"apiVersion":"v1","kind":"Node","metadata":{"name":"node1"}}');
    await kubectl("taint node node1 a=b:NoSchedule");
    await kubectl("cordon node1");
    expect(
      await kubectl("get node node1 -o jsonpath={.spec.unschedulable}{.spec.taints[0].key}"),
    ).toBe("truea");
    await kubectl("uncordon node1");
  });

  test("delete, wait", async () => {
    await kubectl("create configmap gone");
    await kubectl("delete cm gone --wait");
    await kubectl("wait --for=delete cm/gone --timeout=120s");
    await kubectl("run ready --image=web:1");
    const status = '{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}';
    await kubectl(`patch pod ready --subresource=status -p '${status}'`);
    await kubectl("wait --for=condition=Ready pod/ready --timeout=120s");
    await kubectl("wait --for=jsonpath={.status.phase}=Running pod/ready --timeout=120s");
    await kubectl("delete pod ready --grace-period=0 --force");
    expect(await kubectl("get pods -l run=ready -o name")).toBe("");
  });
});

describe("rights", () => {
  test("can-i, whoami, tokens", async () => {
    expect(await kubectl("auth whoami -o jsonpath={.status.userInfo.username}")).toBe("admin");
    expect(await kubectl("auth can-i delete nodes")).toBe("yes\n");
    const no = await tryKubectl("auth can-i list secrets --as=system:serviceaccount:default:none");
    expect([no.exitCode, no.stdout]).toEqual([1, "no\n"]);
    expect(await kubectl("auth can-i --list --as=bob")).toContain("selfsubjectaccessreviews");
    await kubectl("create sa teller");
    const token = await kubectl("create token teller --duration=10m");
    expect(token.split(".")).toHaveLength(3);
    await kubectl(
      "create clusterrolebinding teller --clusterrole=view --serviceaccount=default:teller",
    );
    expect(await kubectl(`get pods --token=${token.trim()} -o name`)).toBeString();
  });

  test("auth reconcile", async () => {
    const file = join(server.dir, "role.json");
    const role = {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "Role",
      metadata: { name: "rec", namespace: "default" },
      rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }],
    };
    await Bun.write(file, JSON.stringify(role));
    expect(await kubectl(`auth reconcile -f ${file}`)).toContain("reconciled");
  });
});

describe("custom resources", () => {
  test("are defined, explained, listed by their columns, and gone", async () => {
    const crd = {
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: "bees.x.io" },
      spec: {
        group: "x.io",
        scope: "Namespaced",
        names: { kind: "Bee", plural: "bees", shortNames: ["be"], categories: ["all"] },
        versions: [
          {
            name: "v1",
            served: true,
            storage: true,
            additionalPrinterColumns: [{ name: "Wings", type: "integer", jsonPath: ".spec.wings" }],
            schema: {
              openAPIV3Schema: {
                type: "object",
                properties: {
                  spec: {
                    type: "object",
                    properties: { wings: { type: "integer", description: "How many wings." } },
                  },
                },
              },
            },
          },
        ],
      },
    };
    await kubectl("apply -f -", JSON.stringify(crd));
    await kubectl("wait --for=condition=Established crd/bees.x.io --timeout=120s");
    const bee =
      '{"apiVersion":"x.io/v1","kind":"Bee","metadata":{"name":"maya"},"spec":{"wings":4}}';
    await kubectl("apply -f -", bee);
    expect(await kubectl("get be")).toMatch(/NAME +WINGS\nmaya +4/);
    expect(await kubectl("get all -o name")).toContain("bee.x.io/maya");
    expect(await kubectl("explain bee.spec.wings")).toContain("<integer>");
    await kubectl("delete crd bees.x.io --timeout=120s");
    // What kubectl says depends on how old its copy of the discovery is.
    expect((await tryKubectl("get bees")).exitCode).toBe(1);
  });
});
