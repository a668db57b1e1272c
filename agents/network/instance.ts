/**
 * Names in the kernel that carry the instance, so that several instances live side by side on one
 * machine. The default instance is `""` or `default`.
 */
import { assert } from "#base/assert.ts";

/** FNV-1a, 32 bits, in base 36: short, stable, the same in every process. */
export function shortHash(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  return hash.toString(36).padStart(7, "0");
}

/**
 * `""` for the default instance, else 1 to 7 characters of a-z, 0-9: an interface's name has at
 * most 15 bytes (IFNAMSIZ - 1), a chain's 28.
 */
export function instanceTag(instance: string): string {
  if (instance === "" || instance === "default") return "";
  assert(/^[A-Za-z0-9._-]+$/.test(instance), `instance name ${JSON.stringify(instance)}`);
  return /^[a-z0-9]{1,7}$/.test(instance) ? instance : shortHash(instance);
}

/** The bridge of an instance's pods: `bramble0`, or `brm-TAG`. */
export function bridgeName(instance: string): string {
  const tag = instanceTag(instance);
  return tag === "" ? "bramble0" : `brm-${tag}`;
}

/** The VXLAN link of an instance: `bramble-vx`, or `brx-TAG`. */
export function overlayName(instance: string): string {
  const tag = instanceTag(instance);
  return tag === "" ? "bramble-vx" : `brx-${tag}`;
}

/** `bramble_TAG_UID_SANDBOX`; none of the parts has an underscore. */
export function netnsName(instance: string, podUid: string, sandboxId: string): string {
  assert(/^[A-Za-z0-9.-]+$/.test(podUid), `pod uid ${JSON.stringify(podUid)}`);
  assert(/^[A-Za-z0-9.-]+$/.test(sandboxId), `sandbox id ${JSON.stringify(sandboxId)}`);
  return `bramble_${instanceTag(instance)}_${podUid}_${sandboxId}`;
}

/** The parts of a name that is ours; undefined for anyone else's. */
export function parseNetnsName(
  instance: string,
  name: string,
): { podUid: string; sandboxId: string } | undefined {
  const [brand, tag, podUid, sandboxId, more] = name.split("_");
  if (brand !== "bramble" || tag !== instanceTag(instance) || more !== undefined) return undefined;
  return podUid && sandboxId ? { podUid, sandboxId } : undefined;
}
