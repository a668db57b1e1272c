import { expect } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { requestCertificate } from "#base/x509.ts";
import { csrController } from "#controllers/csr/controller.ts";
import { certificateSigningRequests } from "#resources/kinds/certificatesigningrequest.ts";
import type { CertificateSigningRequest } from "#resources/types.gen.ts";
import { converges } from "#test/support/converge.ts";

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const request = (commonName: string, organizations: string[]): string =>
  btoa(
    requestCertificate({
      subject: { commonName, organizations },
      altNames: { dns: [], ips: [] },
      key: privateKey,
    }),
  );
const REQUESTS = [
  request("system:node:n1", ["system:nodes"]),
  request("somebody", ["system:masters"]),
  "broken",
];
const HOUR_MS = 3_600_000;

const types = (csr: CertificateSigningRequest | undefined): string[] =>
  csr?.status?.conditions?.map(({ type }) => type) ?? [];

converges("every request is decided by the rules, and goes in the end", {
  any: fc.record({
    request: fc.constantFrom(...REQUESTS),
    signer: fc.constantFrom("kube-apiserver-client", "kube-apiserver-client-kubelet", "other"),
    decided: fc.constantFrom(undefined, "Approved", "Denied", "Failed"),
    trusted: fc.boolean(),
    signs: fc.boolean(),
    ageHours: fc.integer({ min: 0, max: 30 }),
  }),
  build(world, { request, signer, decided, signs, ageHours }) {
    const time = (ms: number) => new Date(ms).toISOString();
    const made = world.now - ageHours * HOUR_MS;
    const condition = { type: decided ?? "", status: "True", lastUpdateTime: time(made) };
    world.put(certificateSigningRequests, {
      metadata: { name: "r", creationTimestamp: time(made) },
      spec: {
        request,
        signerName: `kubernetes.io/${signer}`,
        usages: ["digital signature", "client auth"],
        username: "system:node:n1",
      },
      ...(decided !== undefined && { status: { conditions: [condition] } }),
    });
    const sign = (): string => {
      if (!signs) throw new Error("the key is away");
      return "no certificate";
    };
    return [csrController(sign)];
  },
  client: (client, { trusted }) => ({
    ...client,
    create: async (_, object) => ({ ...object, status: { allowed: trusted } }) as never,
  }),
  always(world, { decided, trusted }) {
    const csr = world.get(certificateSigningRequests, "r");
    const has = types(csr);
    if (csr?.status?.certificate) {
      expect(has).toContain("Approved");
      expect(has).not.toContain("Denied");
    }
    if (has.includes("Approved")) expect(decided === "Approved" || trusted).toBe(true);
  },
  rest: (world) => expect(world.list(certificateSigningRequests)).toEqual([]),
  roundsMax: 4,
  horizonMs: 48 * HOUR_MS,
});
