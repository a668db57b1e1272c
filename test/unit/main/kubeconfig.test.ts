/** The kubeconfig that names all servers, and what a user chose in it. */
import { expect, test } from "bun:test";
import { parse, stringify } from "yaml";
import { kubeconfig } from "../../../src/main/kubeconfig.ts";
import { serverUrls } from "../../../src/main/published.ts";

const PARTS = {
  server: "https://127.0.0.1:6443",
  caPem: "the CA",
  user: { token: "t" },
  others: [
    { name: "n1", server: "https://192.0.2.1:6443" },
    { name: "n2", server: "https://192.0.2.2:6443" },
  ],
};

const contextsOf = (text: string) =>
  parse(text).contexts.map((one: { name: string }) => one.name) as string[];

test("each server has a cluster and a context, the own one is current", () => {
  const config = parse(kubeconfig(PARTS));
  expect(config["current-context"]).toBe("bramble");
  expect(
    config.clusters.map((one: { name: string; cluster: { server: string } }) => [
      one.name,
      one.cluster.server,
    ]),
  ).toEqual([
    ["bramble", "https://127.0.0.1:6443"],
    ["bramble-n1", "https://192.0.2.1:6443"],
    ["bramble-n2", "https://192.0.2.2:6443"],
  ]);
  expect(contextsOf(kubeconfig(PARTS))).toEqual(["bramble", "bramble-n1", "bramble-n2"]);
});

test("a chosen context and namespace stay, as long as the server is there", () => {
  const edited = parse(kubeconfig(PARTS));
  edited["current-context"] = "bramble-n2";
  edited.contexts[2].context.namespace = "shop";
  const again = kubeconfig(PARTS, stringify(edited));
  expect(parse(again)).toMatchObject({ "current-context": "bramble-n2" });
  expect(parse(again).contexts[2].context.namespace).toBe("shop");
  expect(kubeconfig(PARTS, again)).toBe(again);
  const less = kubeconfig({ ...PARTS, others: PARTS.others.slice(0, 1) }, again);
  expect(parse(less)["current-context"]).toBe("bramble");
});

test("a damaged file is written anew", () => {
  expect(kubeconfig(PARTS, "{ not: yaml: at all")).toBe(kubeconfig(PARTS));
});

test("published servers are URLs, also with addresses of IPv6", () => {
  const endpoints = [{ addresses: ["192.0.2.1"] }, { addresses: ["2001:db8::1"] }];
  const ports = [{ name: "https", port: 6443 }];
  const urls = ["https://192.0.2.1:6443", "https://[2001:db8::1]:6443"];
  expect(serverUrls({ endpoints, ports })).toEqual(urls);
  expect(serverUrls(undefined)).toEqual([]);
});
