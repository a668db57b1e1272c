/** The running sums of a quota are what a count of everything answers, after any changes. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Client, StatusError } from "#client/client.ts";
import { resourceQuotaController } from "#controllers/resourcequota/controller.ts";
import type { Kind } from "#resources/kind.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { resourceQuotas } from "#resources/kinds/resourcequota.ts";
import { services } from "#resources/kinds/service.ts";
import type { ApiObject } from "#resources/meta.ts";
import { counts, quantityOf, usageOf } from "#resources/quotausage.ts";
import type { ResourceQuotaSpec } from "#resources/types.gen.ts";
import { fakeClock } from "#test/support/clock.ts";
import { sized, tries } from "#test/support/property.ts";
import { World } from "#test/support/world.ts";

const COUNTED = { pods, services, persistentVolumeClaims, configMaps } as const;
type Counted = keyof typeof COUNTED;

const NAMES = [
  ...["pods", "count/pods", "cpu", "requests.memory", "limits.cpu", "requests.example.com/gpu"],
  ...["services", "services.nodeports", "requests.storage", "persistentvolumeclaims"],
  ...["configmaps", "fast.storageclass.storage.k8s.io/requests.storage"],
];

const cpu = fc.constantFrom("1", "100m", "333m", "0.1", "2.5");
const memory = fc.constantFrom("64Mi", "1Gi", "100M", "0.3", "7", "123456789012");
const namespaces = fc.constantFrom("x", "x", "y");
const number = fc.integer({ min: 0, max: 3 });

interface Step {
  readonly kind: Counted;
  readonly object: ApiObject;
  readonly gone: boolean;
}

const step = (kind: Counted, object: fc.Arbitrary<object>): fc.Arbitrary<Step> =>
  fc
    .record({ object, namespace: namespaces, number, gone: fc.boolean() })
    .map(({ object: more, namespace, number: i, gone }) => {
      const metadata = { ...(more as ApiObject).metadata, namespace, name: `o${i}` };
      return { kind, object: { ...more, metadata }, gone };
    });

const resources = fc.option(
  fc.record({
    requests: fc.record({ cpu, memory }, { requiredKeys: [] }),
    limits: fc.record({ cpu }),
  }),
  { nil: {} },
);
const container = resources.map((of) => ({ name: "c", image: "i", resources: of }));

const podSteps = step(
  "pods",
  fc.record({
    metadata: fc.option(
      fc.record({
        deletionTimestamp: fc.constantFrom("2026-01-01T00:00:05Z", "2026-01-01T00:00:30Z"),
      }),
      { nil: {} },
    ),
    spec: fc.record(
      {
        containers: fc.array(container, { minLength: 1, maxLength: 3 }),
        initContainers: fc.array(container, { maxLength: 1 }),
        activeDeadlineSeconds: fc.constant(60),
        priorityClassName: fc.constantFrom("high", "low"),
      },
      { requiredKeys: ["containers"] },
    ),
    status: fc.record({ phase: fc.constantFrom("Pending", "Running", "Succeeded", "Failed") }),
  }),
);

const serviceSteps = step(
  "services",
  fc.constantFrom("ClusterIP", "NodePort", "LoadBalancer").map((type) => ({
    spec: { type, ports: [{ port: 80 }, { port: 81, name: "b" }] },
  })),
);

const claimSteps = step(
  "persistentVolumeClaims",
  fc.record({ size: memory, storageClassName: fc.constantFrom("fast", "slow") }).map((one) => ({
    spec: {
      storageClassName: one.storageClassName,
      resources: { requests: { storage: one.size } },
    },
  })),
);

const quota: fc.Arbitrary<ResourceQuotaSpec> = fc.record(
  {
    hard: fc
      .subarray(NAMES, { minLength: 6 })
      .map((names) => Object.fromEntries(names.map((name) => [name, "9"]))),
    scopes: fc.subarray(["BestEffort", "NotTerminating"], { maxLength: 1 }),
    scopeSelector: fc.constantFrom("In", "NotIn", "Exists", "DoesNotExist").map((operator) => ({
      matchExpressions: [{ scopeName: "PriorityClass", operator, values: ["high"] }],
    })),
  },
  { requiredKeys: ["hard"] },
);

const change = fc.oneof(
  { weight: 6, arbitrary: podSteps },
  serviceSteps,
  claimSteps,
  step("configMaps", fc.constant({})),
  quota.map((spec) => ({ spec })),
  fc.constant({ later: 10_000 }),
);

/** Everything gone through, object by object. */
function recount(world: World, spec: ResourceQuotaSpec): Record<string, string> {
  const sums = new Map(Object.keys(spec.hard ?? {}).map((name) => [name, 0]));
  for (const kind of Object.values<Kind>(COUNTED)) {
    for (const object of world.items(kind).list("x")) {
      if (!counts({ spec }, kind, object)) continue;
      for (const [name, amount] of Object.entries(usageOf(kind, object, world.now))) {
        const sum = sums.get(name);
        // Thousandths: the least that any of these amounts has.
        if (sum !== undefined) sums.set(name, sum + Math.round(amount * 1000));
      }
    }
  }
  const text = [...sums].map(([name, sum]) => [name, quantityOf(name, sum / 1000)] as const);
  return Object.fromEntries(text);
}

test("property: what is used is what a count of everything says, after any changes", () => {
  fc.assert(
    fc.property(quota, fc.array(change, { minLength: 20, maxLength: 60 }), (first, changes) => {
      const world = new World();
      const clock = { ...fakeClock(), monotonic: () => world.now };
      const controller = resourceQuotaController(clock);
      let spec = first;
      const look = () => {
        world.now += 2_000;
        world.settle([controller]);
        expect(world.get(resourceQuotas, "x/q")?.status?.used ?? {}).toEqual(recount(world, spec));
      };
      const put = () =>
        world.put(resourceQuotas, { metadata: { namespace: "x", name: "q" }, spec });
      put();
      look();
      for (const one of changes) {
        if ("later" in one) world.now += one.later;
        else if ("spec" in one) {
          spec = one.spec;
          put();
        } else {
          const key = `${one.object.metadata?.namespace}/${one.object.metadata?.name}`;
          const kind: Kind = COUNTED[one.kind];
          if (one.gone) world.remove(kind, key);
          else world.put(kind, one.object);
        }
        look();
      }
    }),
    tries(300),
  );
});

describeSure("100", 100);
describeSure("10,000", sized(10_000, 200));

/** A pod of so many is gone: what is asked of the API before the count is believed. */
function describeSure(many: string, size: number): void {
  const setup = () => {
    const world = new World();
    const metadata = { namespace: "x", name: "q" };
    const hard = { pods: "99999" };
    const spec = { hard };
    world.put(resourceQuotas, { metadata, spec, status: { hard, used: { pods: `${size}` } } });
    for (let i = 0; i < size - 1; i++) {
      const containers = [{ name: "c", image: "i" }];
      world.put(pods, { metadata: { namespace: "x", name: `p${i}` }, spec: { containers } });
    }
    const clock = { ...fakeClock(), monotonic: () => world.now };
    const controller = resourceQuotaController(clock);
    const caches: typeof world.caches = {
      ...world.caches,
      of: (kind) => ({ ...world.caches.of(kind), position: "7" }),
    };
    const state = () => controller.read("x/q", { caches, now: world.now, random: () => 0 });
    state();
    world.now += 1_500;
    return { world, controller, state };
  };

  test(`property: that one of ${many} pods is gone is believed without a list`, async () => {
    const { world, controller, state } = setup();
    const asked: string[] = [];
    const client: Partial<Client> = {
      async unchanged(kind, { namespace, resourceVersion }) {
        asked.push(`${kind.plural} ${namespace} ${resourceVersion}`);
        return true;
      },
      async list() {
        throw new StatusError(500, "InternalError", "nobody lists");
      },
    };
    const read = state();
    const sure = read && (await controller.confirm?.(read, client as Client));
    const plan = sure && controller.plan(sure, world.now);
    expect(plan?.actions).toMatchObject([{ body: { status: { used: { pods: `${size - 1}` } } } }]);
    expect(asked.sort()).toEqual(["persistentvolumeclaims x 7", "pods x 7", "services x 7"]);
  });

  test(`property: what caches do not show, of ${many} pods, is counted by a list`, async () => {
    const { world, controller, state } = setup();
    const one = world.list(pods)[0];
    const client = {
      unchanged: async (kind: Kind) => kind !== pods,
      list: async () => ({
        items: [...world.list(pods), { ...one, metadata: { namespace: "x", name: "charged" } }],
        resourceVersion: "8",
      }),
    };
    const read = state();
    const sure = read && (await controller.confirm?.(read, client as unknown as Client));
    expect(sure && controller.plan(sure, world.now).actions).toEqual([]);
  });
}
