/** What becomes of packets, whichever back end has the Services. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { serviceMaps } from "#agents/proxy/maps.ts";
import { planService, planServices, serviceOf } from "#agents/proxy/plan.ts";
import type { EndpointSlice, Service } from "#resources/types.gen.ts";
import { tries } from "#test/support/property.ts";
import { config, service, slice } from "#test/unit/agents/proxy/build.ts";
import { sendOverMaps } from "#test/unit/agents/proxy/mapwalk.ts";
import { type Fate, type Packet, send as sendOverRules } from "#test/unit/agents/proxy/walk.ts";

const NODE = "192.168.0.1";
const POD = "10.42.1.9";
const CLIENT = "192.168.0.99";

/** A node with its Services in the kernel. */
type World = (packet: Packet) => Fate;
type MakeWorld = (
  services: readonly Service[],
  slices: readonly EndpointSlice[],
  random?: () => number,
) => World;

const overRules: MakeWorld = (services, endpointSlices, random = () => 0.5) => {
  const rules = planServices({ services, endpointSlices }, config);
  const world = { rules, local: [NODE], random, recent: new Map() };
  return (packet) => sendOverRules(packet, world);
};

const overMaps: MakeWorld = (services, slices, random = () => 0.5) => {
  const ports = services.flatMap((one) => {
    const key = `${one.metadata?.namespace}/${one.metadata?.name}`;
    return planService(
      one,
      slices.filter((each) => serviceOf(each) === key),
      config,
    );
  });
  const world = { table: serviceMaps(ports, config), local: [NODE], random, clients: new Map() };
  return (packet) => sendOverMaps(packet, world);
};

const send = (packet: Packet, world: World): Fate => world(packet);

const tcp = (src: string, dst: string, dport: number): Packet => ({
  src,
  dst,
  dport,
  protocol: "tcp",
});

const delivered = (dst: string, dport: number, masqueraded: boolean): Fate => ({
  fate: "delivered",
  dst,
  dport,
  masqueraded,
  translated: true,
});

const BACKENDS: ReadonlyArray<[string, MakeWorld]> = [
  ["rules of iptables", overRules],
  ["maps of nft", overMaps],
];

describe.each(BACKENDS)("%s", (_name, world) => {
  test("a pod comes with its own address, a client from outside with the node's", () => {
    const it = world(
      [service("web", { clusterIP: "10.43.0.7" })],
      [slice("web", ["10.42.2.1@n2"])],
    );
    expect(send(tcp(POD, "10.43.0.7", 80), it)).toEqual(delivered("10.42.2.1", 8080, false));
    expect(send(tcp(CLIENT, "10.43.0.7", 80), it)).toEqual(delivered("10.42.2.1", 8080, true));
    expect(send(tcp(NODE, "10.43.0.7", 80), it)).toEqual(delivered("10.42.2.1", 8080, true));
  });

  test("a pod that reaches itself through its Service is masqueraded", () => {
    const it = world([service("web", { clusterIP: "10.43.0.7" })], [slice("web", [`${POD}@n1`])]);
    expect(send(tcp(POD, "10.43.0.7", 80), it)).toEqual(delivered(POD, 8080, true));
    expect(send(tcp(POD, POD, 8080), it)).toMatchObject({ masqueraded: false });
  });

  test("each backend has an equal share", () => {
    let draw = 0;
    const web = service("web", { clusterIP: "10.43.0.7" });
    const endpoints = ["10.42.2.1@n2", "10.42.2.2@n2", "10.42.2.3@n2"];
    // Chances 1/3, 1/2, 1: a grid of draws counts the shares.
    const counts = new Map<string, number>();
    for (let i = 0; i < 30; i++) {
      for (let j = 0; j < 30; j++) {
        draw = 0;
        const it = world(
          [web],
          [slice("web", endpoints)],
          () => (draw++ === 0 ? i : j) / 30 + 0.01,
        );
        const fate = send(tcp(POD, "10.43.0.7", 80), it);
        if (fate.fate === "delivered") counts.set(fate.dst, (counts.get(fate.dst) ?? 0) + 1);
      }
    }
    expect([...counts.values()]).toEqual([300, 300, 300]);
  });

  test("a Service without endpoints refuses, on every address", () => {
    const spec = { clusterIP: "10.43.0.7", type: "NodePort", externalIPs: ["192.168.0.50"] };
    const ports = [{ port: 80, nodePort: 30080 }];
    const it = world([service("web", { ...spec, ports })], [slice("web", ["!10.42.2.1@n2"])]);
    expect(send(tcp(POD, "10.43.0.7", 80), it)).toEqual({ fate: "REJECT" });
    expect(send(tcp(NODE, "10.43.0.7", 80), it)).toEqual({ fate: "REJECT" });
    expect(send(tcp(CLIENT, NODE, 30080), it)).toEqual({ fate: "REJECT" });
    expect(send(tcp(CLIENT, "192.168.0.50", 80), it)).toEqual({ fate: "REJECT" });
    expect(send(tcp(CLIENT, NODE, 30081), it)).toMatchObject({
      fate: "delivered",
      translated: false,
    });
  });

  test("a node port leads to pods anywhere, masqueraded", () => {
    const spec = {
      clusterIP: "10.43.0.7",
      type: "NodePort",
      ports: [{ port: 80, nodePort: 30080 }],
    };
    const it = world([service("web", spec)], [slice("web", ["10.42.2.1@n2"])]);
    expect(send(tcp(CLIENT, NODE, 30080), it)).toEqual(delivered("10.42.2.1", 8080, true));
    expect(send(tcp(POD, NODE, 30080), it)).toEqual(delivered("10.42.2.1", 8080, true));
  });

  test("externalTrafficPolicy Local keeps the client's address, and drops where no pod is", () => {
    const spec = {
      clusterIP: "10.43.0.7",
      type: "LoadBalancer",
      externalTrafficPolicy: "Local",
      ports: [{ port: 80, nodePort: 30080 }],
    };
    const web = service("web", spec, ["192.168.0.1"]);
    const here = world([web], [slice("web", ["10.42.1.1@n1", "10.42.2.1@n2"])], () => 0.9);
    expect(send(tcp(CLIENT, NODE, 30080), here)).toEqual(delivered("10.42.1.1", 8080, false));
    expect(send(tcp(CLIENT, NODE, 80), here)).toEqual(delivered("10.42.1.1", 8080, false));
    expect(send(tcp(POD, NODE, 80), here)).toEqual(delivered("10.42.2.1", 8080, false));
    const elsewhere = world([web], [slice("web", ["10.42.2.1@n2"])]);
    expect(send(tcp(CLIENT, NODE, 30080), elsewhere)).toEqual({ fate: "DROP" });
    expect(send(tcp(CLIENT, NODE, 80), elsewhere)).toEqual({ fate: "DROP" });
    expect(send(tcp(POD, NODE, 80), elsewhere)).toEqual(delivered("10.42.2.1", 8080, false));
    expect(send(tcp(NODE, NODE, 80), elsewhere)).toEqual(delivered("10.42.2.1", 8080, true));
  });

  test("internalTrafficPolicy Local uses pods of this node only", () => {
    const web = service("web", { clusterIP: "10.43.0.7", internalTrafficPolicy: "Local" });
    const here = world([web], [slice("web", ["10.42.1.1@n1", "10.42.2.1@n2"])]);
    expect(send(tcp(POD, "10.43.0.7", 80), here)).toEqual(delivered("10.42.1.1", 8080, false));
    const elsewhere = world([web], [slice("web", ["10.42.2.1@n2"])]);
    expect(send(tcp(POD, "10.43.0.7", 80), elsewhere)).toEqual({ fate: "DROP" });
  });

  test("loadBalancerSourceRanges let in who is named and the node itself", () => {
    const spec = {
      clusterIP: "10.43.0.7",
      type: "LoadBalancer",
      loadBalancerSourceRanges: ["192.168.0.96/28"],
      ports: [{ port: 80 }],
    };
    const it = world([service("web", spec, [NODE])], [slice("web", ["10.42.2.1@n2"])]);
    expect(send(tcp(CLIENT, NODE, 80), it)).toEqual(delivered("10.42.2.1", 8080, true));
    expect(send(tcp(NODE, NODE, 80), it)).toEqual(delivered("10.42.2.1", 8080, true));
    expect(send(tcp("192.168.0.7", NODE, 80), it)).toEqual({ fate: "DROP" });
  });

  test("a client with affinity stays with its backend", () => {
    const spec = {
      clusterIP: "10.43.0.7",
      sessionAffinity: "ClientIP",
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
    };
    let chance = 0;
    const it = world(
      [service("web", spec)],
      [slice("web", ["10.42.2.1@n2", "10.42.2.2@n2"])],
      () => chance,
    );
    const first = send(tcp(POD, "10.43.0.7", 80), it);
    chance = 0.99;
    expect(send(tcp(POD, "10.43.0.7", 80), it)).toEqual(first);
    expect(send(tcp("10.42.1.10", "10.43.0.7", 80), it)).not.toEqual(first);
  });
});

const arbitrarySpec = fc.record({
  type: fc.constantFrom("ClusterIP", "NodePort", "LoadBalancer"),
  affinity: fc.boolean(),
  internalLocal: fc.boolean(),
  externalLocal: fc.boolean(),
  externalIp: fc.boolean(),
  ranges: fc.boolean(),
  protocol: fc.constantFrom("TCP", "UDP", "SCTP"),
  endpoints: fc.array(
    fc.record({
      flag: fc.constantFrom("", "", "!", "~"),
      host: fc.integer({ min: 1, max: 200 }),
      node: fc.constantFrom("n1", "n2", "n3", undefined),
    }),
    { maxLength: 5 },
  ),
});

function built(
  specs: ReadonlyArray<typeof arbitrarySpec extends fc.Arbitrary<infer T> ? T : never>,
) {
  return specs.map((spec, i) => {
    const object = service(
      `s${i}`,
      {
        type: spec.type,
        clusterIP: `10.43.${i % 3}.${i + 1}`,
        ports: [{ port: 80, nodePort: 30000 + i, protocol: spec.protocol }],
        ...(spec.affinity && { sessionAffinity: "ClientIP" }),
        ...(spec.internalLocal && { internalTrafficPolicy: "Local" }),
        ...(spec.externalLocal && { externalTrafficPolicy: "Local" }),
        ...(spec.externalIp && { externalIPs: [`192.168.1.${i + 1}`] }),
        ...(spec.ranges && { loadBalancerSourceRanges: ["192.168.0.0/28"] }),
      },
      spec.type === "LoadBalancer" ? [`192.168.2.${i + 1}`] : [],
    );
    const texts = spec.endpoints.map(
      ({ flag, host, node }) => `${flag}10.42.${i}.${host}${node ? `@${node}` : ""}`,
    );
    return { spec, object, texts, slice: slice(`s${i}`, texts) };
  });
}

/** Where a Service can be reached: addresses and ports. */
function frontsOf({ spec, object }: ReturnType<typeof built>[number]): Array<[string, number]> {
  const fronts: Array<[string, number]> = [[object.spec?.clusterIP ?? "", 80]];
  for (const ip of object.spec?.externalIPs ?? []) fronts.push([ip, 80]);
  for (const { ip } of object.status?.loadBalancer?.ingress ?? []) fronts.push([ip ?? "", 80]);
  if (spec.type !== "ClusterIP") fronts.push([NODE, object.spec?.ports?.[0]?.nodePort ?? 0]);
  return fronts;
}

describe.each(BACKENDS)("%s", (_name, world) => {
  test("property: a packet to any Service ends at a usable endpoint or is refused", () => {
    const cases = fc.tuple(
      fc.array(arbitrarySpec, { minLength: 1, maxLength: 6 }),
      fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 1 }),
      fc.constantFrom(POD, CLIENT, NODE, "10.42.0.5"),
    );
    fc.assert(
      fc.property(cases, ([specs, draws, src]) => {
        const all = built(specs);
        let draw = 0;
        const it = world(
          all.map(({ object }) => object),
          all.map((one) => one.slice),
          () => draws[draw++ % draws.length] ?? 0,
        );
        for (const one of all) {
          const { spec, texts } = one;
          const ready = texts.filter((text) => /^\d/.test(text)).map((text) => text.split("@")[0]);
          const draining = texts
            .filter((text) => text.startsWith("~"))
            .map((text) => text.slice(1).split("@")[0]);
          // The better state of an address that is listed twice counts.
          const usable =
            ready.length > 0 && !spec.internalLocal && !spec.externalLocal
              ? ready
              : [...ready, ...draining];
          const protocol = spec.protocol.toLowerCase() as Packet["protocol"];
          for (const [dst, dport] of frontsOf(one)) {
            const fate = send({ src, dst, dport, protocol }, it);
            if (fate.fate !== "delivered") continue;
            expect({ dst, fate, usable: usable.includes(fate.dst) && fate.dport === 8080 }).toEqual(
              {
                dst,
                fate,
                usable: true,
              },
            );
            // A pod of another node meets that node's rules, not these.
            const isHere = texts.some((text) => text.endsWith(src) || text.endsWith(`${src}@n1`));
            if (fate.dst === src && isHere) expect(fate.masqueraded).toBe(true);
          }
        }
      }),
      tries(300),
    );
  });

  test("property: a Service open to all refuses only where no endpoint is usable", () => {
    fc.assert(
      fc.property(fc.array(arbitrarySpec, { minLength: 1, maxLength: 6 }), (specs) => {
        const open = specs.map((spec) => ({
          ...spec,
          internalLocal: false,
          externalLocal: false,
          ranges: false,
        }));
        const all = built(open);
        const it = world(
          all.map(({ object }) => object),
          all.map((one) => one.slice),
        );
        for (const { spec, object, texts } of all) {
          const served = texts.some((text) => !text.startsWith("!"));
          const protocol = spec.protocol.toLowerCase() as Packet["protocol"];
          const dst = object.spec?.clusterIP ?? "";
          const fate = send({ src: POD, dst, dport: 80, protocol }, it).fate;
          expect(fate).toBe(served ? "delivered" : "REJECT");
        }
      }),
      tries(300),
    );
  });
});

test("property: both back ends answer every packet alike", () => {
  const cases = fc.tuple(
    fc.array(arbitrarySpec, { minLength: 1, maxLength: 6 }),
    fc.constantFrom(POD, CLIENT, NODE, "192.168.0.7"),
  );
  fc.assert(
    fc.property(cases, ([specs, src]) => {
      // One endpoint at most: then nothing is left to chance.
      const all = built(specs.map((one) => ({ ...one, endpoints: one.endpoints.slice(0, 1) })));
      const objects = all.map(({ object }) => object);
      const slices = all.map((one) => one.slice);
      const [rules, maps] = [overRules(objects, slices), overMaps(objects, slices)];
      for (const one of all) {
        const protocol = one.spec.protocol.toLowerCase() as Packet["protocol"];
        for (const [dst, dport] of frontsOf(one)) {
          const packet = { src, dst, dport, protocol };
          expect({ packet, fate: maps(packet) }).toEqual({ packet, fate: rules(packet) });
        }
      }
    }),
    tries(500),
  );
});
