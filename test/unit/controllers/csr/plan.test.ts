import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { type AltNames, requestCertificate, type Subject } from "#base/x509.ts";
import { csrController, type Signer } from "#controllers/csr/controller.ts";
import { certificateSigningRequests } from "#resources/kinds/certificatesigningrequest.ts";
import type { CertificateSigningRequestSpec } from "#resources/types.gen.ts";
import { World } from "#test/support/world.ts";

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const NODE: Subject = { commonName: "system:node:n1", organizations: ["system:nodes"] };
const NODE_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet";
const PEM = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";

interface Asked {
  subject?: Subject;
  altNames?: AltNames;
  spec?: Partial<CertificateSigningRequestSpec>;
  approved?: boolean;
  allowed?: boolean;
}

/** One look at a request: what was written, and with which options it was signed. */
async function look(asked: Asked, laterMs = 0) {
  const world = new World();
  const { subject = NODE, altNames = { dns: [], ips: [] }, approved = false } = asked;
  const pem = requestCertificate({ subject, altNames, key: privateKey });
  const time = world.time();
  const condition = { type: "Approved", status: "True", lastUpdateTime: time };
  world.put(certificateSigningRequests, {
    metadata: { name: "r" },
    spec: {
      request: btoa(pem),
      signerName: NODE_SIGNER,
      usages: ["digital signature", "client auth"],
      username: subject.commonName,
      ...asked.spec,
    },
    ...(approved && { status: { conditions: [condition] } }),
  });
  const signed: Array<Parameters<Signer>[1]> = [];
  const controller = csrController((_, options) => {
    signed.push(options);
    return PEM;
  });
  const client = { create: async () => ({ status: { allowed: asked.allowed ?? true } }) };
  const now = world.now + laterMs;
  let state = controller.read("r", { caches: world.caches, now, random: () => 0 });
  if (state) state = await controller.confirm?.(state, client as never);
  const { actions, againMs } = state ? controller.plan(state, now) : { actions: [] };
  for (const action of actions) world.apply(action);
  return { csr: world.get(certificateSigningRequests, "r"), actions, signed, againMs };
}

const types = (csr: Awaited<ReturnType<typeof look>>["csr"]) =>
  csr?.status?.conditions?.map(({ type }) => type) ?? [];

describe("approval", () => {
  test("a node that may is approved for itself", async () => {
    const { csr, actions } = await look({});
    expect(actions).toMatchObject([{ do: "update", options: { subresource: "approval" } }]);
    expect(types(csr)).toEqual(["Approved"]);
  });

  test("one that may not, or asks for more, waits for an operator", async () => {
    expect((await look({ allowed: false })).actions).toEqual([]);
    expect((await look({ subject: { commonName: "bob" } })).actions).toEqual([]);
    const altNames = { dns: ["x.example"], ips: [] };
    expect((await look({ altNames })).actions).toEqual([]);
  });
});

describe("signing", () => {
  test("an approved request is issued, as long as it asks, a year at most", async () => {
    const { csr, signed } = await look({ approved: true, spec: { expirationSeconds: 43_200 } });
    expect(atob(csr?.status?.certificate ?? "")).toBe(PEM);
    expect(signed).toEqual([{ usages: ["client auth"], days: 0.5 }]);
    expect((await look({ approved: true })).signed[0]?.days).toBe(365);
  });

  test("a client of any name is signed, but none of the masters", async () => {
    const spec = { signerName: "kubernetes.io/kube-apiserver-client" };
    const bob = { commonName: "bob", organizations: ["dev"] };
    expect(
      (await look({ approved: true, spec, subject: bob })).csr?.status?.certificate,
    ).toBeDefined();
    const root = { commonName: "bob", organizations: ["system:masters"] };
    const { csr, signed } = await look({ approved: true, spec, subject: root });
    expect(types(csr)).toEqual(["Approved", "Failed"]);
    expect(signed).toEqual([]);
  });

  test("a serving certificate needs names, and is for the node that asks", async () => {
    const spec = { signerName: "kubernetes.io/kubelet-serving", usages: ["server auth"] };
    const altNames = { dns: [], ips: ["192.0.2.1"] };
    expect((await look({ approved: true, spec, altNames })).signed).toMatchObject([
      { usages: ["server auth"] },
    ]);
    expect(types((await look({ approved: true, spec })).csr)).toContain("Failed");
    const other = { ...spec, username: "system:node:n2" };
    expect(types((await look({ approved: true, spec: other, altNames })).csr)).toContain("Failed");
  });

  test("a signer of somebody else's is left to it", async () => {
    const spec = { signerName: "example.com/mine" };
    expect((await look({ approved: true, spec })).actions).toEqual([]);
  });
});

test("requests go when they are over: decided ones after an hour, others after a day", async () => {
  const spec = { signerName: "example.com/mine" };
  expect((await look({ spec })).againMs).toBe(24 * 3_600_000);
  expect((await look({ approved: true, spec }, 3_600_000)).csr).toBeUndefined();
  expect((await look({ spec }, 3_600_000)).csr).toBeDefined();
  expect((await look({ spec }, 24 * 3_600_000)).csr).toBeUndefined();
});
