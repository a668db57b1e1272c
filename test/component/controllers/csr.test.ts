/** Certificate requests from being made to being gone, by their signers, on the real API. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCodec } from "#api/codec.ts";
import type { UserInfo } from "#api/core.ts";
import { openPki, type Pki } from "#api/pki.ts";
import { type Clock, realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { realRandom } from "#base/random.ts";
import { type AltNames, requestCertificate, type Subject } from "#base/x509.ts";
import { certificateSigningRequests } from "#resources/kinds/certificatesigningrequest.ts";
import { clusterRoleBindings } from "#resources/kinds/clusterrolebinding.ts";
import { kinds } from "#resources/kinds.ts";
import type { CertificateSigningRequest } from "#resources/types.gen.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import type { Store } from "#store/store.ts";
import { type Plane, startPlane, until } from "#test/component/controllers/plane.ts";
import { ADMIN, startApi, type TestAnswer, type TestApi } from "#test/support/api.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const CLIENT = "kubernetes.io/kube-apiserver-client";
const NODE_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet";
const SERVING = "kubernetes.io/kubelet-serving";
const FOREIGN = "example.com/mine";

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const NODE: Subject = { commonName: "system:node:n1", organizations: ["system:nodes"] };
const AS_NODE: UserInfo = { name: NODE.commonName, groups: ["system:nodes"] };
const AS_DEVICE: UserInfo = { name: "system:bootstrap:abcdef", groups: ["system:bootstrappers"] };

interface Asked {
  signer?: string;
  subject?: Subject;
  altNames?: AltNames;
  usages?: string[];
  seconds?: number;
}

function requestOf(asked: Asked, name: string): CertificateSigningRequest {
  const { signer = CLIENT, subject = { commonName: "jane" }, usages = ["client auth"] } = asked;
  const altNames = asked.altNames ?? { dns: [], ips: [] };
  const spec = {
    request: btoa(requestCertificate({ subject, altNames, key: privateKey })),
    signerName: signer,
    usages,
    ...(asked.seconds !== undefined && { expirationSeconds: asked.seconds }),
  };
  return { metadata: { name }, spec };
}

/** The clock of a server that stood `ms` ago. */
const ago = (ms: number): Clock => ({ ...realClock, now: () => realClock.now() - ms });

const decision = (type: string, extra: object = {}) => ({
  ...{ type, status: "True", reason: "Test", message: "by a test" },
  ...extra,
});

/** As `write`, by replacing the whole object, as kubectl and client libraries do. */
async function replace(name: string, conditions: object[]): Promise<TestAnswer> {
  const { body } = await plane.test.call("GET", `${PATH}/${name}`);
  const next = { ...body, status: { ...body.status, conditions } };
  return plane.test.call("PUT", `${PATH}/${name}/approval`, next);
}

/** Writes a condition or a certificate as an operator or a signer does. */
async function write(
  api: TestApi,
  name: string,
  part: "approval" | "status",
  status: object,
  user = ADMIN,
): Promise<TestAnswer> {
  const headers = { "content-type": "application/merge-patch+json" };
  return api.call("PATCH", `${PATH}/${name}/${part}`, { status }, { headers, user });
}

let dir: string;
let store: Store;
let pki: Pki;
let plane: Plane;

/** Leaves what a server that stood that long ago had in its store. */
async function leave(ms: number, work: (api: TestApi) => Promise<void>): Promise<void> {
  const api = await startApi({ store, clock: ago(ms) });
  await work(api);
  await api.close();
}

/** The seconds for which a certificate of `brief` is good. */
const BRIEF_S = 3;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "bramble-csr-"));
  const shared = { clock: realClock, random: realRandom, log: silentLog };
  const places = { names: ["localhost"], ips: [], serviceCidrs: ["10.43.0.0/16"] };
  pki = await openPki({ ...shared, ...places, dir });
  store = await openSqliteStore({ ...shared, path: ":memory:", codec: createCodec(kinds) });
  await leave(25 * HOUR_MS, async (api) => {
    await api.create(PATH, requestOf({ signer: FOREIGN }, "pending-25h"));
  });
  await leave(23 * HOUR_MS, async (api) => {
    await api.create(PATH, requestOf({ signer: FOREIGN }, "pending-23h"));
    await api.create(PATH, requestOf({ signer: FOREIGN }, "denied-now"));
  });
  await leave(1.1 * HOUR_MS, async (api) => {
    for (const type of ["Denied", "Failed", "Approved"]) {
      const name = `${type.toLowerCase()}-66m`;
      await api.create(PATH, requestOf({ signer: FOREIGN }, name));
      const part = type === "Failed" ? "status" : "approval";
      const { code } = await write(api, name, part, { conditions: [decision(type)] });
      if (code !== 200) throw new Error(`${name}: ${code}`);
    }
  });
  await leave(0.9 * HOUR_MS, async (api) => {
    await api.create(PATH, requestOf({ signer: FOREIGN }, "denied-54m"));
    await write(api, "denied-54m", "approval", { conditions: [decision("Denied")] });
  });
  await leave(0, async (api) => {
    await write(api, "denied-now", "approval", { conditions: [decision("Denied")] });
  });
  plane = await startPlane([], {
    store,
    signCertificate: (pem, options) => pki.signCertificate(pem, options),
  });
});
afterAll(async () => {
  await plane?.close();
  await store?.close();
  pki?.close();
  rmSync(dir, { recursive: true, force: true });
});

let count = 0;
/** Makes a request; answers its name. */
async function ask(asked: Asked = {}, user = ADMIN): Promise<string> {
  const name = `r${count++}`;
  const { code, text } = await plane.test.call("POST", PATH, requestOf(asked, name), { user });
  if (code !== 201) throw new Error(text);
  return name;
}
const approve = async (name: string, user = ADMIN): Promise<number> =>
  (await write(plane.test, name, "approval", { conditions: [decision("Approved")] }, user)).code;

const found = (name: string) => plane.client.get(certificateSigningRequests, { name });
const types = async (name: string): Promise<string[]> =>
  ((await found(name))?.status?.conditions ?? []).map(({ type }) => type);

const issued = (name: string): Promise<X509Certificate> =>
  until(`${name} is issued`, async () => {
    const { status } = (await found(name)) ?? {};
    const failed = status?.conditions?.find(({ type }) => type === "Failed");
    if (failed !== undefined) throw new Error(failed.message);
    return status?.certificate !== undefined && new X509Certificate(atob(status.certificate));
  });
const failure = (name: string): Promise<string> =>
  until(`${name} fails`, async () => {
    const { status } = (await found(name)) ?? {};
    expect(status?.certificate).toBeUndefined();
    return status?.conditions?.find(({ type }) => type === "Failed")?.message;
  });

/** All that was asked before is done: a request made later is. */
async function settled(): Promise<void> {
  const name = await ask();
  expect(await approve(name)).toBe(200);
  await issued(name);
}

const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const daysOf = (certificate: X509Certificate): number =>
  (Date.parse(certificate.validTo) - Date.now()) / DAY_MS;

describe("signing", () => {
  test("a client gets the subject that it asked for, for as long as it asked", async () => {
    const subject = { commonName: "jane", organizations: ["devs", "ops"] };
    const name = await ask({ subject, seconds: 86_400 });
    await approve(name);
    const certificate = await issued(name);
    expect(certificate.subject).toBe("O=devs\nO=ops\nCN=jane");
    expect(certificate.keyUsage).toEqual([CLIENT_AUTH]);
    expect(certificate.checkPrivateKey(privateKey)).toBe(true);
    expect(certificate.verify(new X509Certificate(pki.caPem).publicKey)).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(daysOf(certificate)).toBeCloseTo(1, 2);
    expect(await types(name)).toEqual(["Approved"]);
  });

  test("nobody gets more than a year", async () => {
    const [long, unsaid] = [await ask({ seconds: 400 * 86_400 }), await ask()];
    for (const name of [long, unsaid]) {
      await approve(name);
      expect(daysOf(await issued(name))).toBeCloseTo(365, 1);
    }
  });

  test("a node gets its server's certificate with its names when an operator says so", async () => {
    const altNames = { dns: ["n1.example"], ips: ["192.0.2.7"] };
    const uses = ["key encipherment", "digital signature", "server auth"];
    const asked = { signer: SERVING, subject: NODE, altNames, usages: uses };
    const name = await ask(asked, AS_NODE);
    await settled();
    expect(await types(name)).toEqual([]);
    await approve(name);
    const certificate = await issued(name);
    expect(certificate.keyUsage).toEqual([SERVER_AUTH]);
    expect(certificate.checkHost("n1.example")).toBe("n1.example");
    expect(certificate.checkIP("192.0.2.7")).toBe("192.0.2.7");
  });

  const other = { commonName: "system:node:n2", organizations: ["system:nodes"] };
  const names = { dns: [], ips: ["192.0.2.7"] };
  const serving = { signer: SERVING, subject: NODE, altNames: names, usages: ["server auth"] };
  const node = { signer: NODE_CLIENT, subject: NODE };
  test.each<[string, Asked, string]>([
    ["a client for a server's use", { usages: ["server auth"] }, "usages"],
    ["a client for a use beside its own", { usages: ["client auth", "code signing"] }, "usages"],
    ["a node that is a person", { ...node, subject: { commonName: "jane" } }, "subject"],
    ["a node without its group", { ...node, subject: { commonName: "system:node:n1" } }, "subject"],
    ["a node's client with a name", { ...node, altNames: names }, "alternative names"],
    ["a node's client as a server", { ...node, usages: ["server auth"] }, "usages"],
    ["another node's server", { ...serving, subject: other }, "not the requester"],
    ["a server without a name", { ...serving, altNames: { dns: [], ips: [] } }, "name or an addr"],
    ["a server as a client", { ...serving, usages: ["client auth"] }, "usages"],
  ])("%s fails although it was approved", async (_, asked, why) => {
    const name = await ask(asked, AS_NODE);
    expect(await approve(name)).toBe(200);
    expect(await failure(name)).toContain(why);
    expect((await types(name)).sort()).toEqual(["Approved", "Failed"]);
  });

  test("masters, and the signer of old, are refused before there is a request", async () => {
    const subject = { commonName: "eve", organizations: ["system:masters"] };
    const masters = await plane.test.call("POST", PATH, requestOf({ subject }, "masters"));
    expect([masters.code, masters.body.message]).toEqual([
      403,
      expect.stringContaining("system:masters group is not allowed"),
    ]);
    const signer = "kubernetes.io/legacy-unknown";
    const legacy = await plane.test.call("POST", PATH, requestOf({ signer }, "legacy"));
    expect([legacy.code, legacy.body.reason]).toEqual([422, "Invalid"]);
  });

  test("a request that its own key did not sign fails", async () => {
    const whole = atob(requestOf({ signer: NODE_CLIENT, subject: NODE }, "x").spec?.request ?? "");
    const bytes = Buffer.from(whole.replace(/-----.*-----/g, ""), "base64");
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    const head = "-----BEGIN CERTIFICATE REQUEST-----";
    const forged = `${head}\n${bytes.toString("base64")}\n${head.replace("BEGIN", "END")}\n`;
    const spec = { request: btoa(forged), signerName: NODE_CLIENT, usages: ["client auth"] };
    await plane.test.create(PATH, { metadata: { name: "forged" }, spec });
    await approve("forged");
    expect(await failure("forged")).toContain("cannot be read");
  });
});

describe("approval", () => {
  const bind = (role: string, group: string) =>
    plane.client.create(clusterRoleBindings, {
      metadata: { name: role },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role },
      subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: group }],
    });
  const RIGHTS = "system:certificates.k8s.io:certificatesigningrequests";
  const node = { signer: NODE_CLIENT, subject: NODE };

  test("a node is approved by itself as soon as it may be, and only for itself", async () => {
    const early = await ask(node, AS_NODE);
    await settled();
    expect(await types(early)).toEqual([]);
    await bind(`${RIGHTS}:selfnodeclient`, "system:nodes");
    const name = await ask(node, AS_NODE);
    const certificate = await issued(name);
    expect(certificate.subject).toBe("O=system:nodes\nCN=system:node:n1");
    const [approved] = (await found(name))?.status?.conditions ?? [];
    expect(approved).toMatchObject({ type: "Approved", reason: "AutoApproved" });
    const other = { commonName: "system:node:n2", organizations: ["system:nodes"] };
    const [foreign, client] = [
      await ask({ ...node, subject: other }, AS_NODE),
      await ask({ subject: NODE }, AS_NODE),
    ];
    await settled();
    expect([await types(foreign), await types(client)]).toEqual([[], []]);
  });

  test("a device that joins is approved for a node by the right of its group", async () => {
    await bind("system:node-bootstrapper", "system:bootstrappers");
    const early = await ask(node, AS_DEVICE);
    await settled();
    expect(await types(early)).toEqual([]);
    await bind(`${RIGHTS}:nodeclient`, "system:bootstrappers");
    await issued(await ask(node, AS_DEVICE));
  });

  test("who may not approve for a signer does not, and no condition goes away again", async () => {
    const jane: UserInfo = { name: "jane", groups: ["system:authenticated"] };
    const rules = [
      {
        apiGroups: ["certificates.k8s.io"],
        resources: ["certificatesigningrequests", "certificatesigningrequests/approval"],
        verbs: ["get", "update", "patch"],
      },
    ];
    const rbac = "/apis/rbac.authorization.k8s.io/v1";
    await plane.test.create(`${rbac}/clusterroles`, { metadata: { name: "a" }, rules } as object);
    await plane.client.create(clusterRoleBindings, {
      metadata: { name: "a" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "a" },
      subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "jane" }],
    });
    const name = await ask();
    expect(await approve(name, jane)).toBe(403);
    const signers = [
      {
        apiGroups: ["certificates.k8s.io"],
        resources: ["signers"],
        resourceNames: [CLIENT],
        verbs: ["approve"],
      },
    ];
    const body = { rules: [...rules, ...signers] };
    const headers = { "content-type": "application/merge-patch+json" };
    await plane.test.call("PATCH", `${rbac}/clusterroles/a`, body, { headers });
    expect(await approve(await ask({ signer: SERVING }), jane)).toBe(403);
    expect(await approve(name, jane)).toBe(200);
    await issued(name);
    const taken = await write(plane.test, name, "approval", { conditions: [] });
    expect([taken.code, taken.body.message]).toEqual([
      422,
      expect.stringContaining("updates may not remove"),
    ]);
  });

  test("a request that was denied is never signed, nor approved after that", async () => {
    const name = await ask();
    await write(plane.test, name, "approval", { conditions: [decision("Denied")] });
    expect(await approve(name)).toBe(422);
    const both = { conditions: [decision("Denied"), decision("Approved")] };
    const { code, body } = await write(plane.test, name, "approval", both);
    expect([code, body.message]).toEqual([422, expect.stringContaining("mutually exclusive")]);
    await settled();
    expect([await types(name), (await found(name))?.status?.certificate]).toEqual([
      ["Denied"],
      undefined,
    ]);
  });

  test("nor is one that is replaced as a whole", async () => {
    const name = await ask();
    const both = [decision("Denied"), decision("Approved")];
    expect((await replace(name, both)).body.message).toContain("mutually exclusive");
    expect((await replace(name, [decision("Denied")])).code).toBe(200);
    for (const conditions of [[], [decision("Approved")]]) {
      const { code, body } = await replace(name, conditions);
      expect([code, body.message]).toEqual([422, expect.stringContaining("may not remove")]);
    }
    await settled();
    expect(await types(name)).toEqual(["Denied"]);
  });

  test("a condition without its times gets them, and keeps them", async () => {
    const name = await ask({ signer: FOREIGN });
    await approve(name);
    const [first] = (await found(name))?.status?.conditions ?? [];
    expect(Date.now() - Date.parse(first?.lastUpdateTime ?? "")).toBeLessThan(10_000);
    expect(first?.lastTransitionTime).toBe(first?.lastUpdateTime);
    await replace(name, [decision("Approved", { lastUpdateTime: "2026-01-01T00:00:00Z" })]);
    const [again] = (await found(name))?.status?.conditions ?? [];
    expect(again?.lastTransitionTime).toBe(first?.lastTransitionTime);
  });

  test("a signer of somebody else's is left to it", async () => {
    const name = await ask({ signer: FOREIGN });
    await approve(name);
    await settled();
    expect((await found(name))?.status?.certificate).toBeUndefined();
    const own = { certificate: btoa(pki.caPem) };
    expect((await write(plane.test, name, "status", own)).code).toBe(200);
  });
});

describe("clean-up", () => {
  test.each(["pending-25h", "denied-66m", "failed-66m", "approved-66m"])("%s is gone", (name) =>
    until(`${name} is gone`, async () => (await found(name)) === undefined),
  );

  test("what is younger stays", async () => {
    await until("the old ones are gone", async () => (await found("pending-25h")) === undefined);
    await settled();
    for (const name of ["pending-23h", "denied-54m", "denied-now"]) {
      expect([name, (await found(name)) !== undefined]).toEqual([name, true]);
    }
  });

  test("a request goes at the end of its certificate", async () => {
    const name = await ask({ signer: FOREIGN });
    const pem = requestCertificate({
      subject: { commonName: "brief" },
      altNames: { dns: [], ips: [] },
      key: privateKey,
    });
    const days = (BRIEF_S * 1000) / DAY_MS;
    const certificate = pki.signCertificate(pem, { usages: ["client auth"], days });
    const end = Date.parse(new X509Certificate(certificate).validTo);
    await approve(name);
    await write(plane.test, name, "status", { certificate: btoa(certificate) });
    await settled();
    const isThere = (await found(name)) !== undefined;
    if (Date.now() < end) expect(isThere).toBe(true);
    await until("it is gone", async () => (await found(name)) === undefined);
    expect(Date.now()).toBeGreaterThanOrEqual(end);
  });
});

test("nothing was logged as going wrong", () => {
  expect(plane.lines).toEqual([]);
});
