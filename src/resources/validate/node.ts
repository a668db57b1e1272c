/** Nodes and namespaces (core validation). */
import { type Cause, duplicate, forbidden, invalid } from "#resources/field.ts";
import type { Namespace, Node, Taint } from "#resources/types.gen.ts";
import { byRule, each, positive, requiredWord } from "#resources/validate/basic.ts";
import { checkCidr, checkIp, familyOf } from "#resources/validate/ip.ts";
import { checkQuantity } from "#resources/validate/resources.ts";
import { labelValueErrors, qualifiedNameErrors } from "#resources/validate/text.ts";

const EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

function taintCauses(taints: readonly Taint[] | undefined, path: string): Cause[] {
  const seen = new Set<string>();
  return each(taints, path, (taint, at) => {
    const { key, value = "", effect } = taint;
    const causes = byRule(qualifiedNameErrors, key ?? "", `${at}.key`);
    const errors = labelValueErrors(value);
    if (errors.length > 0) causes.push(invalid(`${at}.value`, value, errors.join(";")));
    causes.push(...requiredWord(effect, EFFECTS, `${at}.effect`));
    const pair = `${key}/${effect}`;
    if (seen.has(pair)) {
      const added = taint.timeAdded ?? null;
      const shown = { Key: key, Value: value, Effect: effect, TimeAdded: added };
      const message =
        `Duplicate value: ${JSON.stringify(shown)}: taints must be unique by key and effect ` +
        "pair";
      causes.push({ reason: "FieldValueDuplicate", field: at, message });
    }
    seen.add(pair);
    return causes;
  });
}

function cidrCauses(cidrs: readonly string[]): Cause[] {
  const causes = each(cidrs, "spec.podCIDRs", checkCidr);
  const families = new Set(cidrs.map((cidr) => familyOf(cidr.split("/")[0] ?? "")));
  if (causes.length > 0 || families.size === cidrs.length) return causes;
  const detail = "may specify no more than one CIDR for each IP family";
  return [invalid("spec.podCIDRs", cidrs, detail)];
}

const resourceCauses = (node: Node): Cause[] =>
  (["capacity", "allocatable"] as const).flatMap((list) =>
    Object.entries(node.status?.[list] ?? {}).flatMap(([name, quantity]) =>
      checkQuantity(quantity, `status.${list}.${name}`, name),
    ),
  );

/** Other nodes use these addresses in routes and packet rules. */
function addressCauses(node: Node, old: Node | undefined): Cause[] {
  const before = new Set((old?.status?.addresses ?? []).map(({ address }) => address));
  return each(node.status?.addresses, "status.addresses", ({ type, address }, at) =>
    (type === "InternalIP" || type === "ExternalIP") && !before.has(address)
      ? checkIp(address, `${at}.address`)
      : [],
  );
}

const SET_ONCE = 'except from "" to valid';

function updateCauses(node: Node, old: Node): Cause[] {
  const causes: Cause[] = [];
  const before = old.spec?.podCIDRs ?? [];
  if (before.length > 0 && before.join() !== (node.spec?.podCIDRs ?? []).join()) {
    causes.push(forbidden("spec.podCIDRs", `node updates may not change podCIDR ${SET_ONCE}`));
  }
  const provider = old.spec?.providerID;
  if (provider && provider !== node.spec?.providerID) {
    const detail = `node updates may not change providerID ${SET_ONCE}`;
    causes.push(forbidden("spec.providerID", detail));
  }
  if ((node.spec?.externalID ?? "") !== (old.spec?.externalID ?? "")) {
    causes.push(forbidden("spec.externalID", "may not be updated"));
  }
  const seen = new Set<string>();
  const addresses = each(node.status?.addresses, "status.addresses", ({ type, address }, at) => {
    const shown = { Type: type, Address: address };
    const text = JSON.stringify(shown);
    if (seen.has(text)) return [duplicate(at, shown)];
    seen.add(text);
    return [];
  });
  return [...causes, ...addresses];
}

export function validateNode(node: Node, old: Node | undefined): Cause[] {
  const swap = node.status?.nodeInfo?.swap?.capacity;
  return [
    ...(old ? updateCauses(node, old) : []),
    // Upstream names taints under metadata.
    ...taintCauses(node.spec?.taints, "metadata.taints"),
    ...resourceCauses(node),
    ...(swap === undefined ? [] : positive(swap, "metadata.nodeSwapStatus.capacity")),
    ...cidrCauses(node.spec?.podCIDRs ?? []),
    ...addressCauses(node, old),
  ];
}

export function validateNamespace(
  namespace: Namespace,
  old: Namespace | undefined,
  subresource?: string,
): Cause[] {
  if (subresource === "status") {
    const ending = Boolean(namespace.metadata?.deletionTimestamp);
    const phase = ending ? "Terminating" : "Active";
    if (namespace.status?.phase === phase) return [];
    const time = `\`deletionTimestamp\` is ${ending ? "not " : ""}empty`;
    const detail = `may only be '${phase}' if ${time}`;
    return [invalid("status.Phase", namespace.status?.phase ?? "", detail)];
  }
  if (old && subresource !== "finalize") return [];
  return each(namespace.spec?.finalizers, "spec.finalizers", (finalizer, at) => {
    const path = old ? at : "spec.finalizers";
    const causes = byRule(qualifiedNameErrors, finalizer, path);
    if (finalizer.includes("/") || finalizer === "kubernetes") return causes;
    const detail = "name is neither a standard finalizer name nor is it fully qualified";
    return [...causes, invalid(path, finalizer, detail)];
  });
}
