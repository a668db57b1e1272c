import { expect, test } from "bun:test";
import { plan } from "#controllers/ingress/plan.ts";
import type { Stored } from "#resources/meta.ts";
import { INGRESS_PORTS } from "#resources/ownedingress.ts";
import type { Ingress, Node } from "#resources/types.gen.ts";

const meta = (name: string) => ({
  name,
  uid: name,
  resourceVersion: "1",
  creationTimestamp: "2026-01-01T00:00:00Z",
});

const node = (name: string, ip: string, ports: string, ready = "True"): Stored<Node> => ({
  metadata: { ...meta(name), annotations: { [INGRESS_PORTS]: ports } },
  status: {
    addresses: [{ type: "InternalIP", address: ip }],
    conditions: [{ type: "Ready", status: ready }],
  },
});

const ingress = (ips: string[], more: object = {}): Stored<Ingress> => ({
  metadata: { ...meta("a"), namespace: "default", ...more },
  status: { loadBalancer: ips.length > 0 ? { ingress: ips.map((ip) => ({ ip })) } : {} },
});

test("nodes that are well and listen, those that are shown first", () => {
  const nodes = [
    node("n1", "10.0.0.1", "80,443"),
    node("n2", "10.0.0.2", "80"),
    node("n3", "10.0.0.3", ""),
    node("n4", "10.0.0.4", "80", "False"),
  ];
  const { actions } = plan({ ingress: ingress(["10.0.0.4", "10.0.0.2"]), nodes });
  expect(actions).toMatchObject([
    {
      do: "patch",
      body: { status: { loadBalancer: { ingress: [{ ip: "10.0.0.2" }, { ip: "10.0.0.1" }] } } },
    },
  ]);
  expect(plan({ ingress: ingress(["10.0.0.2", "10.0.0.1"]), nodes }).actions).toEqual([]);
});

test("nothing is shown where nobody listens, and a deleted one is left alone", () => {
  const gone = { deletionTimestamp: "2026-01-01T00:00:00Z" };
  expect(plan({ ingress: ingress(["10.0.0.9"]), nodes: [] }).actions).toHaveLength(1);
  expect(plan({ ingress: ingress(["10.0.0.9"], gone), nodes: [] }).actions).toEqual([]);
});
