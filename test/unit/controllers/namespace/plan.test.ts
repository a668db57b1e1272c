import { describe, expect, test } from "bun:test";
import { plan, type State } from "#controllers/namespace/plan.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { pods } from "#resources/kinds/pod.ts";
import { World } from "#test/support/world.ts";

const world = new World();
const object = (name: string, more: object = {}) =>
  world.put(configMaps, { metadata: { namespace: "x", name, ...more } });

function state(more: Partial<State> = {}): State {
  const namespace = world.put(namespaces, {
    metadata: { name: "x", deletionTimestamp: world.time() },
    spec: { finalizers: ["kubernetes", "other.io/keep"] },
    status: { phase: "Terminating" },
  });
  return { namespace, content: [], failures: [], ...more };
}

describe("a namespace that is being deleted", () => {
  test("is let go once nothing is left, with other finalizers kept", () => {
    const { actions } = plan(state(), world.now);
    expect(actions).toMatchObject([
      {
        do: "update",
        options: { subresource: "finalize" },
        object: { spec: { finalizers: ["other.io/keep"] } },
      },
    ]);
  });

  test("loses its pods first", () => {
    const content = [
      { kind: configMaps, objects: [object("a")] },
      { kind: pods, objects: [object("p")] },
    ];
    const { actions, againMs } = plan(state({ content }), world.now);
    expect(actions).toEqual([{ do: "deleteAll", kind: pods, namespace: "x" }]);
    expect(againMs).toBe(200);
  });

  test("says what stays once everything was told to go", () => {
    const objects = [
      object("a", { deletionTimestamp: world.time(), finalizers: ["x.io/f"] }),
      object("b", { deletionTimestamp: world.time(), finalizers: ["x.io/f"] }),
    ];
    const { actions, againMs } = plan(
      state({ content: [{ kind: configMaps, objects }] }),
      world.now + 20_000,
    );
    expect(againMs).toBe(5000);
    const [action] = actions;
    const body = JSON.stringify(action?.do === "patch" ? action.body : {});
    expect(body).toContain("Some resources are remaining: configmaps has 2 resource instances");
    expect(body).toContain("finalizers remaining: x.io/f in 2 resource instances");
  });

  test("stays while a kind cannot be listed", () => {
    const { actions } = plan(state({ failures: ["things.x.io: broken"] }), world.now);
    expect(actions.some((action) => action.do === "update")).toBe(false);
    expect(JSON.stringify(actions)).toContain("ContentDeletionFailed");
  });
});

test("a namespace that stays is left alone", () => {
  const namespace = world.put(namespaces, { metadata: { name: "y" } });
  expect(plan({ namespace, content: [], failures: [] }, world.now).actions).toEqual([]);
});
