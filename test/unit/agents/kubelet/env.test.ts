import { describe, expect, test } from "bun:test";
import { ConfigError, type EnvSource, environment, expand } from "#agents/kubelet/env.ts";
import type { Service } from "#resources/types.gen.ts";
import { box, podOf } from "#test/support/podstate.ts";

const service = (name: string, namespace: string, ports: object[]): Service =>
  ({
    metadata: { name, namespace },
    spec: { clusterIP: "10.43.0.7", ports },
  }) as Service;

function source(rest: Partial<EnvSource> = {}): EnvSource {
  return {
    pod: podOf({}, { labels: { app: "web" } }),
    podIps: ["10.42.0.2", "fd00::2"],
    hostIps: ["192.168.7.1"],
    nodeName: "n1",
    allocatable: { cpu: "2", memory: "1Gi" },
    data: () => undefined,
    services: [],
    ...rest,
  };
}

const valuesOf = (from: EnvSource, container: Parameters<typeof environment>[1]) =>
  Object.fromEntries(environment(from, container).map(({ name, value }) => [name, value]));

describe("expansion", () => {
  const lookup = (name: string) => ({ A: "1", B: "$(A)" })[name];
  test.each([
    ["$(A)", "1"],
    ["x$(A)y$(A)", "x1y1"],
    ["$$(A)", "$(A)"],
    ["$$$(A)", "$1"],
    ["$(NOPE)", "$(NOPE)"],
    ["$(B)", "$(A)"],
    ["$A", "$A"],
    ["$(A", "$(A"],
    ["$", "$"],
    ["100$", "100$"],
    ["$()", "$()"],
  ])("%s is %s", (text, expected) => {
    expect(expand(text, lookup)).toBe(expected);
  });
});

describe("variables", () => {
  test("of fields and resources", () => {
    const fields = [
      ["metadata.name", "web"],
      ["metadata.namespace", "shop"],
      ["metadata.uid", "u1"],
      ["metadata.labels['app']", "web"],
      ["metadata.annotations['none']", ""],
      ["spec.nodeName", "n1"],
      ["status.podIP", "10.42.0.2"],
      ["status.podIPs", "10.42.0.2,fd00::2"],
      ["status.hostIP", "192.168.7.1"],
    ];
    for (const [fieldPath = "", value = ""] of fields) {
      const env = [{ name: "X", valueFrom: { fieldRef: { fieldPath } } }];
      expect(valuesOf(source(), box("main", { env }))).toEqual({ X: value });
    }
  });

  test.each([
    ["limits.cpu", "1", { cpu: "1500m" }, "2"],
    ["limits.cpu", "1m", { cpu: "1500m" }, "1500"],
    ["limits.memory", "1Mi", { memory: "100Mi" }, "100"],
    ["limits.memory", "1", { memory: "1k" }, "1000"],
    ["limits.cpu", "1", {}, "2"],
    ["limits.memory", "1Gi", {}, "1"],
    ["requests.cpu", "1m", {}, "0"],
  ])("of %s by %s with limits %j is %s", (resource, divisor, limits, value) => {
    const env = [{ name: "X", valueFrom: { resourceFieldRef: { resource, divisor } } }];
    const main = box("main", { env, resources: { limits: limits as Record<string, string> } });
    const from = source({ pod: podOf({ containers: [main] }) });
    expect(valuesOf(from, main)).toEqual({ X: value });
  });

  test("later ones see earlier ones and the services", () => {
    const from = source({ services: [service("db", "shop", [{ port: 5432 }])] });
    const env = [
      { name: "A", value: "1" },
      { name: "B", value: "$(A)$(C)" },
      { name: "C", value: "$(DB_SERVICE_HOST)" },
    ];
    expect(valuesOf(from, box("main", { env }))).toMatchObject({ B: "1$(C)", C: "10.43.0.7" });
  });

  test("from ConfigMaps and Secrets, with a prefix, in the order of the spec", () => {
    const data: EnvSource["data"] = ({ kind, name }) =>
      kind === "configMap" && name === "cm" ? { a: "1", b: "2" } : { a: "secret" };
    const container = box("main", {
      envFrom: [{ configMapRef: { name: "cm" } }, { secretRef: { name: "s" }, prefix: "S_" }],
      env: [
        { name: "b", value: "own" },
        { name: "K", valueFrom: { secretKeyRef: { name: "s", key: "a" } } },
      ],
    });
    expect(environment(source({ data }), container)).toEqual([
      { name: "a", value: "1" },
      { name: "b", value: "own" },
      { name: "S_a", value: "secret" },
      { name: "K", value: "secret" },
    ]);
  });

  test("what is missing stops the container, unless it is optional", () => {
    const key = (optional?: boolean) =>
      box("main", {
        env: [
          {
            name: "X",
            valueFrom: {
              configMapKeyRef: { name: "cm", key: "k", ...(optional && { optional }) },
            },
          },
        ],
      });
    expect(() => environment(source(), key())).toThrow(new ConfigError('configmap "cm" not found'));
    const empty = source({ data: () => ({}) });
    expect(() => environment(empty, key())).toThrow("couldn't find key k in ConfigMap shop/cm");
    expect(environment(source(), key(true))).toEqual([]);
    const whole = box("main", { envFrom: [{ secretRef: { name: "s" } }] });
    expect(() => environment(source(), whole)).toThrow('secret "s" not found');
  });
});

describe("service links", () => {
  const ports = [
    { name: "http-web", port: 80, protocol: "TCP" },
    { name: "dns", port: 53, protocol: "UDP" },
  ];
  const services = [
    service("my-app", "shop", ports),
    service("kubernetes", "default", [{ name: "https", port: 443, protocol: "TCP" }]),
  ];

  test("name host and ports as docker links did", () => {
    expect(valuesOf(source({ services }), box("main"))).toMatchObject({
      MY_APP_SERVICE_HOST: "10.43.0.7",
      MY_APP_SERVICE_PORT: "80",
      MY_APP_SERVICE_PORT_HTTP_WEB: "80",
      MY_APP_SERVICE_PORT_DNS: "53",
      MY_APP_PORT: "tcp://10.43.0.7:80",
      MY_APP_PORT_80_TCP: "tcp://10.43.0.7:80",
      MY_APP_PORT_80_TCP_PROTO: "tcp",
      MY_APP_PORT_80_TCP_PORT: "80",
      MY_APP_PORT_80_TCP_ADDR: "10.43.0.7",
      MY_APP_PORT_53_UDP: "udp://10.43.0.7:53",
      KUBERNETES_SERVICE_HOST: "10.43.0.7",
    });
  });

  test("turned off leave the API's address", () => {
    const from = source({ services, pod: podOf({ enableServiceLinks: false }) });
    const names = environment(from, box("main")).map(({ name }) => name);
    expect(names).toContain("KUBERNETES_SERVICE_HOST");
    expect(names.some((name) => name.startsWith("MY_APP"))).toBe(false);
  });

  test("leave out headless services", () => {
    const headless: Service = {
      metadata: { name: "h" },
      spec: { clusterIP: "None", ports: [{ port: 1 }] },
    };
    expect(environment(source({ services: [headless] }), box("main"))).toEqual([]);
  });
});
