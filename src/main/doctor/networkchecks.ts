/** The doctor's checks of what traffic needs. */
import type { Check, Command, Facts, Finding } from "./facts.ts";

const ok = (check: string, text: string): Finding => ({ check, level: "ok", text });

const iptables: Check = ({ iptables, iptablesFailure, strayRules, hasApt }) => {
  const check = "iptables";
  if (iptablesFailure !== undefined) {
    return { check, level: "fail", text: `there, but fails: ${iptablesFailure}` };
  }
  if (iptables === undefined) {
    const repair = hasApt ? { repair: [["apt-get", "install", "-y", "iptables"]] } : {};
    return { check, level: "fail", text: "missing", ...repair };
  }
  const backend = iptables.includes("nf_tables") ? "nft" : "legacy";
  if (strayRules === 0) return ok(check, `${iptables}`);
  const other = backend === "nft" ? "legacy" : "nft";
  return {
    check,
    level: "warn",
    text: `${strayRules} rules of the ${other} back end beside ${backend}: each packet meets both`,
    repair: ["iptables", "ip6tables"].map((name) => {
      return ["update-alternatives", "--set", name, `/usr/sbin/${name}-${other}`];
    }),
  };
};

const conntrack: Check = ({ conntrack, hasApt }) => {
  const check = "conntrack";
  if (conntrack) return ok(check, "there");
  return {
    check,
    level: "warn",
    text: "missing: UDP clients of a Service may go on talking to a pod that is gone",
    ...(hasApt && { repair: [["apt-get", "install", "-y", "conntrack"]] }),
  };
};

const ports: Check = ({ ports, listeners }) => {
  const taken = ports.flatMap(({ protocol, port, setting }): Finding[] => {
    const other = listeners.find(
      (each) => each.protocol === protocol && each.port === port && each.program !== "bramble",
    );
    if (other === undefined) return [];
    const taken = `${port}/${protocol} is taken by ${other.program}`;
    const text = `${taken}: stop it, or choose another with ${setting}`;
    return [{ check: "ports", level: "fail", text }];
  });
  if (taken.length > 0) return taken;
  const all = ports.map(({ port, protocol }) => `${port}/${protocol}`).join(", ");
  return ok("ports", all === "" ? "none needed" : `${all} free or bramble's`);
};

const multicast: Check = ({ links }) => {
  const able = links.filter((link) => link.multicast).map(({ name }) => name);
  const check = "multicast";
  if (able.length > 0) return ok(check, able.join(", "));
  const text = "no link can: devices must be told their server with --server";
  return { check, level: "warn", text };
};

/** IPv6 needs 1280; pods take Ethernet's 1500 for granted, VXLAN takes 50 of them. */
const mtu: Check = ({ links, network }) => {
  const check = "MTU";
  const link = links.find(({ isDefault }) => isDefault);
  if (link === undefined) {
    return { check, level: "warn", text: "no default route: name this node's address, --node-ip" };
  }
  if (link.mtu >= 1500) return ok(check, `${link.name}: ${link.mtu}`);
  const level = link.mtu < 1280 ? "fail" : "warn";
  const wants = network === "vxlan" ? "VXLAN expects" : "pods expect";
  const repair = [["ip", "link", "set", "dev", link.name, "mtu", "1500"]];
  return { check, level, text: `${link.name}: ${link.mtu}, ${wants} 1500`, repair };
};

const MDNS = 5353;
const VXLAN = 8472;

function through(program: string, repair: readonly Command[]): Finding {
  const check = "firewall";
  if (repair.length === 0) return ok(check, `${program} lets the cluster through`);
  const text = `${program} is on: it must let the cluster through`;
  return { check, level: "warn", text, repair };
}

function ufwRules(
  ports: readonly string[],
  ranges: readonly string[],
  made: readonly string[],
): Command[] {
  const wanted: Command[] = [
    ...ports.map((port) => ["ufw", "allow", port]),
    ...ranges.flatMap((range) => [
      ["ufw", "allow", "from", range],
      ["ufw", "route", "allow", "from", range],
      ["ufw", "route", "allow", "to", range],
    ]),
  ];
  return wanted.filter((command) => !made.includes(command.join(" ")));
}

function zoneRules(
  ports: readonly string[],
  ranges: readonly string[],
  known: NonNullable<Facts["firewall"]["firewalld"]>,
): Command[] {
  const permanent = ["firewall-cmd", "--permanent"];
  const shut = ports.filter((port) => !known.ports.includes(port));
  const strange = ranges.filter((range) => !known.trusted.includes(range));
  if (shut.length + strange.length === 0) return [];
  return [
    ...shut.map((port) => [...permanent, `--add-port=${port}`]),
    ...strange.map((range) => [...permanent, "--zone=trusted", `--add-source=${range}`]),
    ["firewall-cmd", "--reload"],
  ];
}

const firewall: Check = (facts) => {
  const { role, ports, clusterCidr, serviceCidr, network } = facts;
  const check = "firewall";
  const open = [
    ...(role === "server" ? ports.map(({ port, protocol }) => `${port}/${protocol}`) : []),
    `${MDNS}/udp`,
    ...(network === "vxlan" ? [`${VXLAN}/udp`] : []),
  ];
  const ranges = [clusterCidr, serviceCidr];
  const { ufw, firewalld } = facts.firewall;
  if (ufw !== undefined) return through("ufw", ufwRules(open, ranges, ufw));
  if (firewalld !== undefined) return through("firewalld", zoneRules(open, ranges, firewalld));
  return ok(check, "none that needs to know");
};

export const networkChecks: readonly Check[] = [
  iptables,
  conntrack,
  ports,
  multicast,
  mtu,
  firewall,
];
