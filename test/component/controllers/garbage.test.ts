/** Who owns whom, on the real API: custom resources, namespaces, the whole cluster. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { configMaps } from "#resources/kinds/configmap.ts";
import { type Plane, startPlane, until } from "#test/component/controllers/plane.ts";

const GROUP = "garbage.example.com";
const KINDS = { Box: "Namespaced", Shelf: "Cluster" } as const;
type Kind = keyof typeof KINDS | "ConfigMap";

const PATHS: Record<Kind, string> = {
  Box: `/apis/${GROUP}/v1/namespaces/default/boxes`,
  Shelf: `/apis/${GROUP}/v1/shelves`,
  ConfigMap: "/api/v1/namespaces/default/configmaps",
};
const PLURALS = { Box: "boxes", Shelf: "shelves" } as const;
const versionOf = (kind: Kind): string => (kind === "ConfigMap" ? "v1" : `${GROUP}/v1`);

let plane: Plane;
beforeAll(async () => {
  plane = await startPlane([]);
  for (const kind of ["Box", "Shelf"] as const) {
    const plural = PLURALS[kind];
    await plane.test.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
      metadata: { name: `${plural}.${GROUP}` },
      spec: {
        group: GROUP,
        scope: KINDS[kind],
        names: { kind, plural },
        versions: [
          {
            name: "v1",
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: "object" } },
          },
        ],
      },
    } as object);
  }
  await plane.test.create("/api/v1/namespaces", { metadata: { name: "other" } });
});
afterAll(() => plane.close());

interface Made {
  readonly kind: Kind;
  readonly name: string;
  readonly uid: string;
  readonly path: string;
}

let count = 0;
/** One of that kind, owned by those. */
async function make(
  kind: Kind,
  owners: readonly Made[] = [],
  more: { block?: boolean; path?: string; finalizers?: string[] } = {},
): Promise<Made> {
  const name = `o${count++}`;
  const { block = false, path = PATHS[kind], finalizers = [] } = more;
  const ownerReferences = owners.map((owner) => ({
    apiVersion: versionOf(owner.kind),
    kind: owner.kind,
    name: owner.name,
    uid: owner.uid,
    ...(block && { blockOwnerDeletion: true }),
  }));
  const { code, body, text } = await plane.test.call("POST", path, {
    apiVersion: versionOf(kind),
    kind,
    metadata: { name, ownerReferences, finalizers },
  });
  if (code !== 201) throw new Error(text);
  return { kind, name, uid: body.metadata.uid, path: `${path}/${name}` };
}

const state = async ({ path }: Made) => {
  const { code, body } = await plane.test.call("GET", path);
  return code === 200 ? body : undefined;
};
const isThere = async (made: Made): Promise<boolean> => (await state(made)) !== undefined;
const remove = ({ path }: Made, propagationPolicy?: string) =>
  plane.test.call("DELETE", path, propagationPolicy ? { propagationPolicy } : {});
const gone = (made: Made) =>
  until(`${made.kind} ${made.name} is gone`, async () => !(await isThere(made)));

/** All that was deleted before has had its consequences. */
async function settled(): Promise<void> {
  const owner = await make("Box");
  const dependent = await make("ConfigMap", [owner]);
  await remove(owner);
  await gone(dependent);
}

describe("in the background", () => {
  test("what custom resources own goes with them, kind after kind", async () => {
    const box = await make("Box");
    const map = await make("ConfigMap", [box]);
    const inner = await make("Box", [map]);
    const last = await make("ConfigMap", [inner]);
    await remove(box);
    for (const each of [box, map, inner, last]) await gone(each);
  });

  test("who has another owner stays, and forgets the one that went", async () => {
    const [one, two] = [await make("Box"), await make("ConfigMap")];
    const shared = await make("Box", [one, two]);
    await remove(one);
    await until("it forgets one", async () => {
      const owners = (await state(shared))?.metadata.ownerReferences ?? [];
      return owners.length === 1 && owners[0].uid === two.uid;
    });
    await remove(two);
    await gone(shared);
  });

  test("who is owned by the cluster's goes, wherever it is", async () => {
    const shelf = await make("Shelf");
    const here = await make("Box", [shelf]);
    const there = await make("ConfigMap", [shelf], {
      path: PATHS.ConfigMap.replace("default", "other"),
    });
    const beside = await make("Shelf", [shelf]);
    await remove(shelf);
    for (const each of [here, there, beside]) await gone(each);
  });

  test("an owner that was never there takes along who names it", async () => {
    const box = await make("Box");
    await remove(box);
    await gone(box);
    const late = await make("ConfigMap", [box]);
    await gone(late);
  });
});

describe("safety", () => {
  test("an owner of another namespace is none: who names it goes, and it stays", async () => {
    const owner = await make("ConfigMap", [], {
      path: PATHS.ConfigMap.replace("default", "other"),
    });
    const stranger = await make("ConfigMap", [owner]);
    await gone(stranger);
    expect(await isThere(owner)).toBe(true);
  });

  test("the cluster's own have no owners in namespaces, and are never taken for it", async () => {
    const box = await make("Box");
    const shelf = await make("Shelf", [box]);
    await remove(box);
    await gone(box);
    await settled();
    expect(await isThere(shelf)).toBe(true);
  });

  test("an owner of a kind that nobody serves keeps who it owns", async () => {
    const reference = { apiVersion: "nobody.example.com/v1", kind: "Ghost", name: "g", uid: "u" };
    await plane.client.create(configMaps, {
      metadata: { namespace: "default", name: "haunted", ownerReferences: [reference] },
    });
    await settled();
    const ref = { namespace: "default", name: "haunted" };
    expect(await plane.client.get(configMaps, ref)).toBeDefined();
  });

  test("a new object of an old owner's name owns nothing of it", async () => {
    const box = await make("Box");
    const map = await make("ConfigMap", [{ ...box, uid: "of-old" }]);
    await gone(map);
    expect(await isThere(box)).toBe(true);
  });
});

describe("in the foreground", () => {
  test("a custom resource waits for those that hold it, not for others", async () => {
    const box = await make("Box");
    const holds = await make("ConfigMap", [box], {
      block: true,
      finalizers: ["example.com/hold"],
    });
    const free = await make("ConfigMap", [box], { finalizers: ["example.com/hold"] });
    await remove(box, "Foreground");
    const asked = async (one: Made) => (await state(one))?.metadata.deletionTimestamp !== undefined;
    await until("who holds it is asked to go", () => asked(holds));
    await settled();
    expect(await asked(free)).toBe(false);
    expect((await state(box))?.metadata.finalizers).toEqual(["foregroundDeletion"]);
    const body = { metadata: { finalizers: null } };
    const headers = { "content-type": "application/merge-patch+json" };
    await plane.test.call("PATCH", holds.path, body, { headers });
    await gone(box);
    await until("the other one is asked to go", () => asked(free));
    await plane.test.call("PATCH", free.path, body, { headers });
    await gone(free);
  });
});

describe("as orphans", () => {
  test("what custom resources owned stays, and forgets them", async () => {
    const box = await make("Box");
    const dependents = [await make("ConfigMap", [box]), await make("Box", [box])];
    await remove(box, "Orphan");
    await gone(box);
    await settled();
    for (const each of dependents) {
      expect((await state(each))?.metadata.ownerReferences ?? []).toEqual([]);
    }
  });
});

test("nothing was logged as going wrong", () => {
  expect(plane.lines).toEqual([]);
});
