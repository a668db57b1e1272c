/**
 * Whether this node takes a pod that was bound to it: what the scheduler checked too, but pods also
 * come without it (DaemonSets of old, static pods, `nodeName` by hand), and it may have been wrong
 * by now. Pure.
 */
import type { Verdict } from "#agents/kubelet/types.ts";
import { selectsNode, untolerated } from "#resources/nodeselector.ts";
import { amountOf, hostPorts, podRequests } from "#resources/podrequests.ts";
import { SAFE_SYSCTLS } from "#resources/sysctls.ts";
import type { Node, Pod } from "#resources/types.gen.ts";
import { isExtended } from "#resources/validate/resources.ts";

export interface AdmitInput {
  pod: Pod;
  node: Node;
  allocatable: Readonly<Record<string, string>>;
  /** Pods that use the node: neither over nor refused. */
  others: readonly Pod[];
  /**
   * Sysctls that the operator allows beside the safe ones; `kernel.shm*` allows all of its kind.
   */
  allowedSysctls?: readonly string[];
  /** Whether the kernel has AppArmor turned on. */
  appArmor?: boolean;
}

const reject = (reason: string, message: string): Verdict => ({
  reason,
  message: `Pod was rejected: ${message}`,
});

function resources({ pod, allocatable, others }: AdmitInput): Verdict | undefined {
  const short = (name: string, requested: number, used: number, capacity: number) => {
    const figures = `requested: ${requested}, used: ${used}, capacity: ${capacity}`;
    return reject(`OutOf${name}`, `Node didn't have enough resource: ${name}, ${figures}`);
  };
  const pods = Number(allocatable["pods"] ?? 0);
  if (others.length + 1 > pods) return short("pods", 1, others.length, pods);
  const used = new Map<string, number>();
  for (const other of others) {
    for (const [name, amount] of Object.entries(podRequests(other))) {
      used.set(name, (used.get(name) ?? 0) + amount);
    }
  }
  for (const [name, amount] of Object.entries(podRequests(pod))) {
    // A device that the node does not count (yet) is the whole cluster's: the scheduler knows.
    if (amount <= 0 || (isExtended(name) && allocatable[name] === undefined)) continue;
    const capacity = amountOf(name, allocatable[name] ?? "0");
    const before = used.get(name) ?? 0;
    if (before + amount > capacity) return short(name, amount, before, capacity);
  }
  return undefined;
}

function ports({ pod, others }: AdmitInput): Verdict | undefined {
  const taken = others.flatMap(hostPorts);
  const clash = hostPorts(pod).some((wanted) => {
    const [protocol, address, port] = wanted.split("/");
    return taken.some((one) => {
      const [otherProtocol, otherAddress, otherPort] = one.split("/");
      if (protocol !== otherProtocol || port !== otherPort) return false;
      return [address, otherAddress].includes("0.0.0.0") || address === otherAddress;
    });
  });
  if (!clash) return undefined;
  const detail = "node(s) didn't have free ports for the requested pod ports";
  return reject("NodePorts", `Predicate NodePorts failed: ${detail}`);
}

function sysctls({ pod, allowedSysctls = [] }: AdmitInput): Verdict | undefined {
  for (const { name } of pod.spec?.securityContext?.sysctls ?? []) {
    const dotted = name.replaceAll("/", ".");
    const allowed = allowedSysctls.some((pattern) =>
      pattern.endsWith("*") ? dotted.startsWith(pattern.slice(0, -1)) : pattern === dotted,
    );
    if (allowed || SAFE_SYSCTLS.has(dotted)) continue;
    return { reason: "SysctlForbidden", message: `forbidden sysctl: "${name}" not allowlisted` };
  }
  return undefined;
}

/** Nobody who asks for a profile runs without one, as upstream. */
function appArmor({ pod, appArmor: enabled = false }: AdmitInput): Verdict | undefined {
  const { spec } = pod;
  if (enabled || spec === undefined) return undefined;
  const all = [...(spec.initContainers ?? []), ...spec.containers];
  const wants = all.some(({ securityContext }) => {
    const profile = securityContext?.appArmorProfile ?? spec.securityContext?.appArmorProfile;
    return profile !== undefined && profile.type !== "Unconfined";
  });
  if (!wants) return undefined;
  const detail = "AppArmor is not enabled on the host";
  return reject("AppArmor", `Cannot enforce AppArmor: ${detail}`);
}

/** Why the pod is refused; undefined when it may run. */
export function admitPod(input: AdmitInput): Verdict | undefined {
  const { pod, node } = input;
  if (pod.spec?.os?.name !== undefined && pod.spec.os.name !== "linux") {
    const detail = `Failed to admit pod as the OS field doesn't match node OS`;
    return { reason: "PodOSNotSupported", message: detail };
  }
  if (!selectsNode(pod, node)) {
    const detail = "node(s) didn't match Pod's node affinity/selector";
    return reject("NodeAffinity", `Predicate NodeAffinity failed: ${detail}`);
  }
  const taint = untolerated(node.spec?.taints ?? [], pod.spec?.tolerations ?? [], ["NoExecute"]);
  if (taint !== undefined) {
    const detail = `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ""}}`;
    return reject("TaintToleration", `Predicate TaintToleration failed: ${detail}`);
  }
  return sysctls(input) ?? appArmor(input) ?? ports(input) ?? resources(input);
}
