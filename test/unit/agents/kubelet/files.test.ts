import { describe, expect, test } from "bun:test";
import { fqdnOf, hostnameOf, hostsFile, resolverFile } from "#agents/kubelet/files.ts";
import { podOf } from "#test/support/podstate.ts";

const DNS = { servers: ["10.43.0.10"], domain: "cluster.local" };
const NODE = "search lan example.org\nnameserver 192.168.1.1\noptions edns0\n";

describe("resolv.conf", () => {
  test("asks the cluster first, then searches as the node does", () => {
    expect(resolverFile(podOf(), DNS, NODE)).toBe(
      [
        "search shop.svc.cluster.local svc.cluster.local cluster.local lan example.org",
        "nameserver 10.43.0.10",
        "options ndots:5",
        "",
      ].join("\n"),
    );
  });

  test("Default is the node's own, and so is ClusterFirst on the node's network", () => {
    const text = "search lan example.org\nnameserver 192.168.1.1\noptions edns0\n";
    expect(resolverFile(podOf({ dnsPolicy: "Default" }), DNS, NODE)).toBe(text);
    expect(resolverFile(podOf({ hostNetwork: true }), DNS, NODE)).toBe(text);
    const both = podOf({ hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" });
    expect(resolverFile(both, DNS, NODE)).toContain("nameserver 10.43.0.10");
  });

  test("None is the pod's own; options replace those of the same name", () => {
    const dnsConfig = {
      nameservers: ["1.1.1.1"],
      searches: ["a.b"],
      options: [{ name: "ndots", value: "2" }, { name: "edns0" }],
    };
    expect(resolverFile(podOf({ dnsPolicy: "None", dnsConfig }), DNS, NODE)).toBe(
      "search a.b\nnameserver 1.1.1.1\noptions ndots:2 edns0\n",
    );
    expect(resolverFile(podOf({ dnsConfig }), DNS, NODE)).toContain("options ndots:2 edns0");
  });

  test("has at most three servers", () => {
    const dnsConfig = { nameservers: ["1.1.1.1", "2.2.2.2", "3.3.3.3"] };
    const lines = resolverFile(podOf({ dnsConfig }), DNS, NODE).split("\n");
    expect(lines.filter((line) => line.startsWith("nameserver")).length).toBe(3);
  });
});

describe("hosts", () => {
  test("name the pod, and the aliases", () => {
    const pod = podOf({
      hostname: "a",
      subdomain: "b",
      hostAliases: [{ ip: "1.2.3.4", hostnames: ["x", "y"] }],
    });
    const text = hostsFile(pod, ["10.42.0.2"], "cluster.local", "");
    expect(text).toContain("10.42.0.2\ta.b.shop.svc.cluster.local\ta\n");
    expect(text).toEndWith("# Entries added by HostAliases.\n1.2.3.4\tx\ty\n");
  });

  test("on the node's network are the node's", () => {
    const text = hostsFile(podOf({ hostNetwork: true }), [], "cluster.local", "127.0.0.1 lap\n");
    expect(text).toContain("127.0.0.1 lap\n");
  });
});

describe("host name", () => {
  test("is cut to 63 and never ends with a dash", () => {
    expect(hostnameOf(podOf({ hostname: "h" }))).toBe("h");
    const name = `${"a".repeat(62)}-b`;
    expect(hostnameOf(podOf({}, { name }))).toBe("a".repeat(62));
  });

  test("is full only with a subdomain", () => {
    expect(fqdnOf(podOf(), "cluster.local")).toBeUndefined();
    expect(fqdnOf(podOf({ subdomain: "s" }), "c.l")).toBe("web.s.shop.svc.c.l");
  });
});
