/** An Ingress of a real cluster: an address, HTTP and HTTPS. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WEB_INGRESS, webManifest } from "#test/e2e/web.ts";
import { eventually, type Instance, mustRun, startInstance } from "#test/support/instance.ts";

const LOG = join(tmpdir(), `bramble-ingress-e2e-${process.pid}.log`);

let cluster: Instance;

const INGRESS = `${WEB_INGRESS}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: secure}
spec:
  tls: [{hosts: [web.test], secretName: web-tls}]
  rules:
    - host: web.test
      http:
        paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]
`;

async function addSecret(): Promise<void> {
  const [cert, key] = [`${cluster.dir}/web.crt`, `${cluster.dir}/web.key`];
  const name = ["-subj", "/CN=web.test", "-addext", "subjectAltName=DNS:web.test"];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await mustRun(["openssl", "req", "-x509", ...curve, ...name, "-keyout", key, "-out", cert]);
  await cluster.must("create", "secret", "tls", "web-tls", `--cert=${cert}`, `--key=${key}`);
}

beforeAll(async () => {
  const flags = ["--access-log", LOG];
  cluster = await startInstance({ name: "ingress", images: ["1"], flags });
  await cluster.apply(webManifest());
  await addSecret();
  await cluster.apply(INGRESS);
  await cluster.must("rollout", "status", "deployment/web", "--timeout=120s");
}, 360_000);

afterAll(async () => {
  await cluster?.close();
  rmSync(LOG, { force: true });
}, 180_000);

test("the class is ours, and the status shows the node's address", async () => {
  const path = "jsonpath={.spec.ingressClassName} {.status.loadBalancer.ingress[0].ip}";
  const node = await cluster.must(
    "get",
    "nodes",
    "-o",
    "jsonpath={.items[0].status.addresses[0].address}",
  );
  await eventually("an address", 60_000, async () => {
    const shown = await cluster.must("get", "ingress", "web", "-o", path);
    return shown === `bramble ${node}`;
  });
});

test("HTTPS by the Secret's certificate, and plain HTTP is sent there", async () => {
  const [http, https] = cluster.ingressPorts;
  const at = ["--connect-to", `web.test:${https}:127.0.0.1:${https}`];
  const ca = ["--cacert", `${cluster.dir}/web.crt`];
  const text = await eventually("HTTPS", 60_000, () =>
    mustRun(["curl", "-sSf", "-m", "20", ...at, ...ca, `https://web.test:${https}/`]),
  );
  expect(text).toContain("hello");
  const plain = ["--connect-to", `web.test:${http}:127.0.0.1:${http}`];
  const followed = ["curl", "-sSf", "-m", "60", "-L", ...at, ...plain, ...ca];
  expect(await mustRun([...followed, `http://web.test:${http}/`])).toContain("hello");
});
