/** What parts of the server's own process see of a write is what stands in its text, to the field. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { apiVersionOf, type Kind } from "#resources/kind.ts";
import { pods } from "#resources/kinds/pod.ts";
import { kinds } from "#resources/kinds.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import type { Pod, PodSpec } from "#resources/types.gen.ts";
import { startApi, type TestAnswer, type TestApi } from "#test/support/api.ts";
import minimalText from "#test/support/suites/minimal.yaml" with { type: "text" };

const objects = Bun.YAML.parse(minimalText as unknown as string) as ApiObject[];

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
  await api.create("/api/v1/namespaces", { metadata: { name: "x" } });
  await api.create("/api/v1/namespaces/x/serviceaccounts", { metadata: { name: "default" } });
});
afterAll(() => api.close());

const stored = objects.flatMap((object) => {
  const kind = kinds.find(
    (one) => apiVersionOf(one) === object.apiVersion && one.kind === object.kind,
  );
  // These would be asked about everything that follows.
  const isAsked = kind?.group === "admissionregistration.k8s.io";
  return kind === undefined || isAsked ? [] : [{ kind, object }];
});

const pathOf = ({ group, version, namespaced, plural }: Kind): string =>
  `${group === "" ? "/api" : `/apis/${group}`}/${version}${namespaced ? "/namespaces/x" : ""}/${plural}`;

/** What a watch tells of the writes that `act` answers. */
async function seen(kind: Kind, act: () => Promise<Stored[]>): Promise<[Stored[], Stored[]]> {
  const { resourceVersion } = await api.api.direct.list(kind, {});
  const end = new AbortController();
  const found = new Map<string, Stored>();
  const told = Promise.withResolvers<void>();
  let last = "";
  const watching = (async () => {
    const query = { resourceVersion, signal: end.signal };
    for await (const { object } of api.api.direct.watch(kind, query)) {
      found.set(object.metadata.resourceVersion, structuredClone(object));
      if (object.metadata.resourceVersion === last) told.resolve();
    }
  })();
  const answers = await act();
  last = answers.at(-1)?.metadata.resourceVersion ?? "";
  if (!found.has(last)) await told.promise;
  end.abort();
  await watching;
  // The server itself may have written in between.
  const ours = answers.flatMap(({ metadata }) => found.get(metadata.resourceVersion) ?? []);
  return [ours, answers];
}

const MERGE = { headers: { "content-type": "application/merge-patch+json" } };

const ANNOTATE = { metadata: { annotations: { c: "d" } } };

function unmanaged({ code, body }: TestAnswer): Stored[] {
  if (code >= 300) return [];
  const { managedFields: _, ...metadata } = body.metadata;
  return [{ ...body, metadata }];
}

for (const { kind, object } of stored) {
  test(`${apiVersionOf(kind)} ${kind.kind}`, async () => {
    const path = pathOf(kind);
    const made = await api.call("POST", path, object);
    // Reviews are answered, not kept; some names are taken from the start.
    if (made.code !== 201 || made.body.metadata?.resourceVersion === undefined) return;
    const { name } = made.body.metadata;
    const [changes, answers] = await seen(kind, async () => {
      const other = { ...object, metadata: { ...object.metadata, name: `${name}2` } };
      const label = { metadata: { labels: { a: "b" } } };
      return [
        await api.call("PATCH", `${path}/${name}`, label, MERGE),
        await api.call("POST", path, other),
        await api.call("PATCH", `${path}/${name}`, ANNOTATE, MERGE),
      ].flatMap(unmanaged);
    });
    expect(answers.length).toBeGreaterThanOrEqual(2);
    expect(changes).toStrictEqual(answers);
  });
}

test("pods that share a spec stay apart when one of them changes", async () => {
  const spec = { automountServiceAccountToken: false, containers: [{ name: "c", image: "web:1" }] };
  const create = async (name: string): Promise<Stored<Pod>> => {
    const made = await api.create("/api/v1/namespaces/x/pods", { metadata: { name }, spec });
    return made as Stored<Pod>;
  };
  const [first, second] = [await create("alike-1"), await create("alike-2")];
  expect(second.spec).toEqual(first.spec as PodSpec);
  const patch = { spec: { containers: [{ name: "c", image: "web:2" }] } };
  const path = "/api/v1/namespaces/x/pods/alike-1";
  const type = { "content-type": "application/strategic-merge-patch+json" };
  expect((await api.call("PATCH", path, patch, { headers: type })).code).toBe(200);
  const third = await create("alike-3");
  expect(third.spec).toEqual(second.spec as PodSpec);
  const { items } = await api.api.direct.list(pods, { namespace: "x" });
  const images = items
    .filter(({ metadata }) => metadata.name.startsWith("alike-"))
    .map((pod) => `${pod.metadata.name} ${(pod as Stored<Pod>).spec?.containers[0]?.image}`);
  expect(images).toEqual(["alike-1 web:2", "alike-2 web:1", "alike-3 web:1"]);
});
