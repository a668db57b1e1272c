import { describe, expect, test } from "bun:test";
import { type RenderSource, referencedObjects, render } from "#agents/volumes/render.ts";
import type { VolumeRequest } from "#agents/volumes/volumes.ts";
import type { PodSpec, Volume } from "#resources/types.gen.ts";
import { box, podOf } from "#test/support/podstate.ts";

const objects: Record<string, Record<string, string>> = {
  "configMap/shop/cm": { a: "1", b: "2" },
  "secret/shop/s": { password: "pw" },
};

const source: RenderSource = {
  objects: {
    async get(kind, namespace, name) {
      const data = objects[`${kind}/${namespace}/${name}`];
      return data && new Map(Object.entries(data).map(([key, text]) => [key, Buffer.from(text)]));
    },
    watch: () => () => {},
  },
  token: async (_, audience, seconds) => ({ token: `${audience}:${seconds}`, renewAtMs: seconds }),
  trustBundle: async () => "PEM",
};

const request = (spec: Partial<PodSpec> = {}): VolumeRequest => ({
  pod: podOf(spec),
  directory: "/none",
  fields: { field: (path) => `<${path}>`, resource: ({ resource }) => `[${resource}]` },
});

async function files(volume: Omit<Volume, "name">, spec: Partial<PodSpec> = {}) {
  const rendered = await render(source, request(spec), { name: "v", ...volume });
  return Object.fromEntries(
    [...(rendered?.files ?? [])].map(([path, { data, mode }]) => [
      path,
      [Buffer.from(data).toString(), mode],
    ]),
  );
}

describe("configMap and secret", () => {
  test("are whole, with the default mode", async () => {
    expect(await files({ configMap: { name: "cm" } })).toEqual({
      a: ["1", 0o644],
      b: ["2", 0o644],
    });
    const secret = { secretName: "s", defaultMode: 0o400 };
    expect(await files({ secret })).toEqual({ password: ["pw", 0o400] });
  });

  test("or the items named, each with its own mode", async () => {
    const items = [{ key: "b", path: "x/y", mode: 0o600 }];
    expect(await files({ configMap: { name: "cm", items } })).toEqual({ "x/y": ["2", 0o600] });
  });

  test("fail for what is missing unless it is optional", async () => {
    expect(files({ configMap: { name: "no" } })).rejects.toThrow('configmap "no" not found');
    expect(files({ secret: { secretName: "no" } })).rejects.toThrow('secret "no" not found');
    const items = [{ key: "z", path: "z" }];
    expect(files({ configMap: { name: "cm", items } })).rejects.toThrow(
      "non-existent config key: z",
    );
    expect(await files({ configMap: { name: "no", optional: true } })).toEqual({});
    expect(await files({ configMap: { name: "cm", items, optional: true } })).toEqual({});
  });

  test.each(["../x", "/x", "a/../../x", "..data"])("path %s is refused", async (path) => {
    const items = [{ key: "a", path }];
    expect(files({ configMap: { name: "cm", items } })).rejects.toThrow("invalid path");
  });
});

describe("projected", () => {
  const sources = [
    { serviceAccountToken: { path: "token", expirationSeconds: 3607, audience: "me" } },
    { configMap: { name: "cm", items: [{ key: "a", path: "ca.crt" }] } },
    { downwardAPI: { items: [{ path: "ns", fieldRef: { fieldPath: "metadata.namespace" } }] } },
    { clusterTrustBundle: { path: "trust.pem", name: "x" } },
  ];

  test("joins all sources and tells when the token must be renewed", async () => {
    expect(await files({ projected: { sources } })).toEqual({
      token: ["me:3607", 0o644],
      "ca.crt": ["1", 0o644],
      ns: ["<metadata.namespace>", 0o644],
      "trust.pem": ["PEM", 0o644],
    });
    const volume = { name: "v", projected: { sources } };
    expect((await render(source, request(), volume))?.renewAtMs).toBe(3607);
    expect(referencedObjects(volume)).toEqual([{ kind: "configMap", name: "cm" }]);
  });

  test("keeps a token to the one user of the pod, or to its group", async () => {
    const own = { containers: [box("a"), box("b")], securityContext: { runAsUser: 1000 } };
    const volume = { name: "v", projected: { sources } };
    const rendered = await render(source, request(own), volume);
    expect(rendered?.files.get("token")).toMatchObject({ mode: 0o600, uid: 1000 });
    const group = { securityContext: { fsGroup: 5, runAsUser: 1000 } };
    const shared = await render(source, request(group), volume);
    expect(shared?.files.get("token")).toMatchObject({ mode: 0o600 });
    expect(shared?.files.get("token")?.uid).toBeUndefined();
    const mixed = {
      containers: [box("a", { securityContext: { runAsUser: 1 } }), box("b")],
    };
    expect((await render(source, request(mixed), volume))?.files.get("token")?.mode).toBe(0o644);
  });
});

test("other volumes are no files", async () => {
  expect(await render(source, request(), { name: "v", emptyDir: {} })).toBeUndefined();
});
