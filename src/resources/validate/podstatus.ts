/** The status of a pod, as its node's agent reports it (core validation, PodStatus). */
import { type Cause, forbidden, invalid } from "#resources/field.ts";
import type { ContainerStatus, Pod } from "#resources/types.gen.ts";
import { byRule, each, INT32_MAX, immutable, within } from "#resources/validate/basic.ts";
import { checkIp, familyOf } from "#resources/validate/ip.ts";
import { qualifiedNameErrors, subdomainErrors } from "#resources/validate/text.ts";

const SYSTEM_CONDITIONS = new Set(["PodScheduled", "Ready", "Initialized"]);

function conditionCauses(pod: Pod): Cause[] {
  return each(pod.status?.conditions, "status.conditions", (condition, at) => {
    const { observedGeneration, type } = condition;
    const causes: Cause[] = [];
    if ((observedGeneration ?? 0) < 0) {
      const detail = "must be a non-negative integer";
      causes.push(invalid(`${at}.observedGeneration`, observedGeneration, detail));
    }
    if (SYSTEM_CONDITIONS.has(type)) return causes;
    return [...causes, ...byRule(qualifiedNameErrors, type ?? "", `${at}.Type`)];
  });
}

type StatusList = "containerStatuses" | "initContainerStatuses" | "ephemeralContainerStatuses";

/** Whether a container of this exit code may be started again. */
function mayRestart(pod: Pod, list: StatusList, status: ContainerStatus): boolean {
  if (list === "ephemeralContainerStatuses") return false;
  const sidecar = pod.spec?.initContainers?.some(
    (container) => container.name === status.name && container.restartPolicy === "Always",
  );
  if (list === "initContainerStatuses" && sidecar) return true;
  const policy = pod.spec?.restartPolicy;
  const failed = status.state?.terminated?.exitCode !== 0;
  return policy === "Always" || (policy === "OnFailure" && failed);
}

/** A container that ended for good stays ended. */
function endCauses(pod: Pod, old: Pod, list: StatusList): Cause[] {
  const next = new Map((pod.status?.[list] ?? []).map((status) => [status.name, status]));
  return each(old.status?.[list], `status.${list}`, (before, at) => {
    const after = next.get(before.name);
    const revived = before.state?.terminated && after && !after.state?.terminated;
    if (!revived || mayRestart(old, list, before)) return [];
    return [forbidden(`${at}.state`, "may not be transitioned to non-terminated state")];
  });
}

/** Who a container's first process runs as. */
function userCauses(pod: Pod, list: StatusList): Cause[] {
  return each(pod.status?.[list], `status.${list}`, ({ user }, path) => {
    if (!user?.linux) return [];
    const { uid, gid, supplementalGroups } = user.linux;
    const at = `${path}.user.linux`;
    return [
      ...within(uid, [0, INT32_MAX], `${at}.uid`),
      ...within(gid, [0, INT32_MAX], `${at}.gid`),
      ...each(supplementalGroups, `${at}.supplementalGroups`, (group, index) =>
        within(group, [0, INT32_MAX], index),
      ),
    ];
  });
}

function ipCauses(pod: Pod, field: "podIPs" | "hostIPs"): Cause[] {
  const at = `status.${field}`;
  const ips = (pod.status?.[field] ?? []).map(({ ip }) => ip ?? "");
  const causes = each(ips, at, checkIp);
  const families = new Set(ips.map(familyOf));
  if (causes.length === 0 && families.size < ips.length) {
    const detail = "may specify no more than one IP for each IP family";
    causes.push(invalid(at, pod.status?.[field], detail));
  }
  const [first] = ips;
  if (field === "hostIPs" && first !== undefined && first !== pod.status?.hostIP) {
    causes.push(invalid(`${at}[0].ip`, first, "must be equal to `hostIP`"));
  }
  return causes;
}

function nominatedCauses(pod: Pod, old: Pod): Cause[] {
  const next = pod.status?.nominatedNodeName;
  if (!next || next === old.status?.nominatedNodeName) return [];
  return byRule(subdomainErrors, next, "status.nominatedNodeName");
}

export function checkPodStatus(pod: Pod, old: Pod): Cause[] {
  const lists = [
    "containerStatuses",
    "initContainerStatuses",
    "ephemeralContainerStatuses",
  ] as const;
  const before = old.status?.qosClass;
  return [
    ...conditionCauses(pod),
    ...nominatedCauses(pod, old),
    ...(before && pod.status?.qosClass
      ? immutable(pod.status.qosClass, before, "status.qosClass")
      : []),
    ...lists.flatMap((list) => endCauses(pod, old, list)),
    ...lists.flatMap((list) => userCauses(pod, list)),
    ...ipCauses(pod, "podIPs"),
    ...ipCauses(pod, "hostIPs"),
  ];
}
