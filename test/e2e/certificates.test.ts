/** A person gets a certificate and works with it, by the unmodified kubectl. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, mustRun } from "#test/support/instance.ts";
import { type PlainServer, plainServer } from "#test/support/plainserver.ts";

let server: PlainServer;
beforeAll(async () => {
  server = await plainServer();
  await server.start();
}, 360_000);
afterAll(() => server?.close());

const file = (name: string): string => join(server.dir, name);

test("kubectl certificate approve gives a kubeconfig that works", async () => {
  const subject = "/CN=jane/O=devs/O=ops";
  await mustRun(["openssl", "genrsa", "-out", file("jane.key"), "2048"]);
  await mustRun([
    ...["openssl", "req", "-new", "-key", file("jane.key")],
    ...["-subj", subject, "-out", file("jane.csr")],
  ]);
  const request = Buffer.from(await Bun.file(file("jane.csr")).arrayBuffer()).toString("base64");
  writeFileSync(
    file("csr.yaml"),
    `apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: jane}
spec:
  request: ${request}
  signerName: kubernetes.io/kube-apiserver-client
  expirationSeconds: 86400
  usages: [client auth]
`,
  );
  await server.must("apply", "-f", file("csr.yaml"));
  await server.must("certificate", "approve", "jane");
  const certificate = await eventually("the certificate is issued", 60_000, async () => {
    const path = "jsonpath={.status.certificate}";
    return (await server.must("get", "csr", "jane", "-o", path)) || undefined;
  });
  writeFileSync(file("jane.crt"), Buffer.from(certificate, "base64"));

  const kubeconfig = file("jane.config");
  await Bun.write(kubeconfig, await Bun.file(server.kubeconfig).text());
  const config = (...argv: string[]) =>
    mustRun(["kubectl", "config", `--kubeconfig=${kubeconfig}`, ...argv]);
  const pair = [`--client-certificate=${file("jane.crt")}`, `--client-key=${file("jane.key")}`];
  await config("set-credentials", "jane", ...pair, "--embed-certs=true");
  const context = (await config("current-context")).trim();
  await config("set-context", context, "--user=jane");
  expect(await Bun.file(kubeconfig).text()).toContain("client-certificate-data");

  const asJane = (...argv: string[]) => server.kubectl(argv, { kubeconfig });
  const who = await asJane("auth", "whoami", "-o", "jsonpath={.status.userInfo}");
  const { fingerprint256 } = new X509Certificate(Buffer.from(certificate, "base64"));
  const hash = fingerprint256.replaceAll(":", "").toLowerCase();
  expect(JSON.parse(who.stdout)).toEqual({
    username: "jane",
    groups: ["devs", "ops", "system:authenticated"],
    extra: { "authentication.kubernetes.io/credential-id": [`X509SHA256=${hash}`] },
  });
  expect((await asJane("get", "pods")).stderr).toContain('User "jane" cannot list resource "pods"');
  await server.must("create", "rolebinding", "devs", "--clusterrole=view", "--group=devs");
  expect((await asJane("get", "pods")).stderr).toContain("No resources found");
  expect((await asJane("get", "pods", "-A")).exitCode).toBe(1);
}, 180_000);
