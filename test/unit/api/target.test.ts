import { describe, expect, test } from "bun:test";
import { parseTarget } from "#api/target.ts";

describe("paths of resources", () => {
  test.each([
    ["/api/v1/pods", { group: "", version: "v1", plural: "pods" }],
    ["/api/v1/namespaces", { group: "", version: "v1", plural: "namespaces" }],
    ["/api/v1/namespaces/a", { group: "", version: "v1", plural: "namespaces", name: "a" }],
    [
      "/api/v1/namespaces/a/status",
      { group: "", version: "v1", plural: "namespaces", name: "a", subresource: "status" },
    ],
    ["/api/v1/namespaces/a/pods", { group: "", version: "v1", plural: "pods", namespace: "a" }],
    [
      "/api/v1/namespaces/a/pods/b/log",
      { group: "", version: "v1", plural: "pods", namespace: "a", name: "b", subresource: "log" },
    ],
    [
      "/apis/apps/v1/namespaces/a/deployments/b",
      { group: "apps", version: "v1", plural: "deployments", namespace: "a", name: "b" },
    ],
    [
      "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
      {
        group: "rbac.authorization.k8s.io",
        version: "v1",
        plural: "clusterroles",
        name: "system:node",
      },
    ],
    [
      "/api/v1/namespaces/a/pods/b:80/proxy/x/y",
      {
        group: "",
        version: "v1",
        plural: "pods",
        namespace: "a",
        name: "b:80",
        subresource: "proxy",
        rest: "/x/y",
      },
    ],
    [
      "/api/v1/nodes/n/proxy",
      { group: "", version: "v1", plural: "nodes", name: "n", subresource: "proxy", rest: "" },
    ],
    [
      "/api/v1/watch/namespaces/a/pods",
      { group: "", version: "v1", plural: "pods", namespace: "a", watch: true as const },
    ],
  ])("%s", (path, target) => {
    expect(parseTarget(path)).toEqual(target);
  });

  test.each(["/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/healthz", "/", ""])(
    "%s is none",
    (path) => {
      expect(parseTarget(path)).toBeUndefined();
    },
  );

  test("deeper than a subresource is none", () => {
    expect(parseTarget("/api/v1/namespaces/a/pods/b/log/c")).toBeUndefined();
  });
});
