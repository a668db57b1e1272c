import { nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { IPAddress } from "#resources/types.gen.ts";
import { validateIpAddress } from "#resources/validate/network.ts";

/** `services/namespace/name`. */
function parentText(address: IPAddress): string {
  const parent = address.spec?.parentRef;
  if (!parent) return "<none>";
  const { group, resource = "", namespace, name = "" } = parent;
  const parts = [(group ? `${resource}.${group}` : resource).toLowerCase(), namespace, name];
  return parts.filter((part) => part !== undefined).join("/");
}

export const ipAddresses = defineKind<IPAddress>({
  group: "networking.k8s.io",
  version: "v1",
  kind: "IPAddress",
  plural: "ipaddresses",
  namespaced: false,
  schema: "io.k8s.api.networking.v1.IPAddress",
  shortNames: ["ip"],
  nameRule: "path",
  columns: [nameColumn, { name: "ParentRef", cell: parentText }],
  validate: validateIpAddress,
});
