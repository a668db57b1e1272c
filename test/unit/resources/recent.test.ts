import { expect, test } from "bun:test";
import { pods } from "#resources/kinds/pod.ts";
import { managersText, newObjectSet } from "#resources/managed/created.ts";
import { createdSet } from "#resources/managed/diff.ts";
import { mergeNodeOf } from "#resources/managed/node.ts";
import type { FieldSet } from "#resources/managed/sets.ts";
import type { JsonObject } from "#resources/patch/values.ts";
import { Recent } from "#resources/recent.ts";
import { definitions } from "#resources/schema.ts";
import type { Json, Pod, PodSpec, Volume } from "#resources/types.gen.ts";

test("the last few texts are remembered, and no long ones", () => {
  const recent = new Recent<number>({ entriesMax: 2, charsMax: 3 });
  recent.set("a", 1);
  recent.set("b", 2);
  recent.set("a", 3);
  recent.set("long", 4);
  expect(["a", "b", "long"].map((text) => recent.get(text))).toEqual([3, 2, undefined]);
  recent.set("c", 5);
  expect(["a", "b", "c"].map((text) => recent.get(text))).toEqual([undefined, 2, 5]);
});

function pod(name: string, more: Partial<PodSpec> = {}): Pod {
  const made: Pod = {
    metadata: { name, namespace: "x" },
    spec: { containers: [{ name: "main", image: "web:1" }], ...more },
  };
  pods.defaults(made);
  return made;
}

const fields = (made: Pod): string[] => pods.validate(made, undefined).map(({ field }) => field);

/** With the token that admission mounts under a name of its own. */
function withToken(suffix: string, mounted = suffix): Pod {
  const [name, mount] = [`kube-api-access-${suffix}`, `kube-api-access-${mounted}`];
  const volume: Volume = { name, emptyDir: {} };
  const made = pod(`web-${suffix}`, { volumes: [volume] });
  for (const container of made.spec?.containers ?? []) {
    container.volumeMounts = [{ name: mount, mountPath: "/token" }];
  }
  return made;
}

test("a spec that was right is right again, one that differs is looked at", () => {
  for (let i = 0; i < 2; i++) {
    expect(fields(pod("a"))).toEqual([]);
    expect(fields(pod("b", { restartPolicy: "Sometimes" }))).toEqual(["spec.restartPolicy"]);
  }
});

test("pods of one template are alike but for the name of their token's volume", () => {
  expect(fields(withToken("abcde"))).toEqual([]);
  expect(fields(withToken("fghij"))).toEqual([]);
  const wrong = ["spec.containers[0].volumeMounts[0].name"];
  expect(fields(withToken("klmno", "abcde"))).toEqual(wrong);
});

test("what depends on more than the spec is looked at each time", () => {
  const template = { spec: { accessModes: ["ReadWriteOnce"], resources: {} } };
  const volumes: Volume[] = [
    { name: "data", ephemeral: { volumeClaimTemplate: template as never } },
  ];
  const request = { ...template.spec, resources: { requests: { storage: "1Gi" } } };
  template.spec = request;
  expect(fields(pod("short", { volumes }))).toEqual([]);
  expect(fields(pod("x".repeat(250), { volumes }))).not.toEqual([]);
  const annotated = pod("short");
  annotated.metadata = {
    ...annotated.metadata,
    annotations: { "kubernetes.io/config.mirror": "1" },
  };
  expect(fields(pod("short"))).toEqual([]);
  expect(fields(annotated)).toEqual(["metadata.annotations[kubernetes.io/config.mirror]"]);
});

test("a spec brings along the fields that it brought before, whatever else differs", () => {
  const schema = definitions()["io.k8s.api.core.v1.Pod"] ?? {};
  const node = mergeNodeOf(schema);
  const first = pod("a") as unknown as JsonObject;
  const second = { ...(pod("b") as object), status: { phase: "Pending" } } as JsonObject;
  const other = pod("c", { hostNetwork: true }) as unknown as JsonObject;
  const sets = [first, second, other].map((object) => newObjectSet(node, object));
  expect(sets).toEqual([first, second, other].map((object) => createdSet(node, object)));
  expect(sets[1]?.["f:spec"]).toBe(sets[0]?.["f:spec"] as never);
  expect(Object.keys(sets[1] ?? {})).toEqual(["f:spec", "f:status"]);
});

test("managers in text are their JSON, with what is known of it and without", () => {
  const node = mergeNodeOf(definitions()["io.k8s.api.core.v1.Pod"] ?? {});
  const object = pod("d", { subdomain: "text" });
  object.metadata = { ...object.metadata, labels: { "a.b/c": "d" } };
  const sets = [1, 2].map(() => newObjectSet(node, object as unknown as JsonObject));
  const entry = (set: FieldSet | undefined) => ({
    ...{ manager: 'a"b', operation: "Update", apiVersion: "v1", time: "2026-01-01T00:00:00Z" },
    fieldsType: "FieldsV1",
    fieldsV1: set as Json,
    subresource: undefined as unknown as string,
  });
  const known = entry(sets[1]);
  const parsed = JSON.parse(JSON.stringify(known));
  for (const entries of [[], [known], [parsed], [known, parsed], [entry(undefined)]]) {
    expect(managersText(entries)).toBe(JSON.stringify(entries));
  }
});
