/** ResourceSlices: the devices that a driver offers (resource validation). */
import { type Cause, invalid, required, tooLong, tooMany } from "#resources/field.ts";
import type {
  Device,
  DeviceAttribute,
  ResourceSlice,
  ResourceSliceSpec,
} from "#resources/types.gen.ts";
import { byRule, each, immutable, positive, unique } from "#resources/validate/basic.ts";
import { checkAttributeName, checkPoolName } from "#resources/validate/devicename.ts";
import { checkNodeSelector } from "#resources/validate/selector.ts";
import { checkDriverName } from "#resources/validate/source.ts";
import { labelErrors, subdomainErrors } from "#resources/validate/text.ts";

const DEVICES_MAX = 128;
const PER_DEVICE_MAX = 32;
const VALUE_BYTES_MAX = 64;
const KEY_MAX = 96;
const NUMBER = "(0|[1-9]\\d*)";
const PRE_RELEASE = "(0|[1-9]\\d*|\\d*[a-zA-Z-][0-9a-zA-Z-]*)";
const BUILD = "[0-9a-zA-Z-]+";
/** Semantic versions (semver.org 2.0.0). */
const SEMVER = new RegExp(
  `^${NUMBER}\\.${NUMBER}\\.${NUMBER}(-${PRE_RELEASE}(\\.${PRE_RELEASE})*)?` +
    `(\\+${BUILD}(\\.${BUILD})*)?$`,
);

/** A key as errors show it: a long one without its middle. */
const shownKey = (key: string): string =>
  key.length <= KEY_MAX ? key : `${key.slice(0, 47)}...${key.slice(-46)}`;

function attributeCauses(attribute: DeviceAttribute, path: string): Cause[] {
  const { bool, int, string, version } = attribute;
  const causes: Cause[] = [];
  for (const [field, value] of Object.entries({ string, version })) {
    if (value === undefined) continue;
    const at = `${path}.${field}`;
    if (field === "version" && !SEMVER.test(value)) {
      const detail = "must be a string compatible with semver.org spec 2.0.0";
      causes.push(invalid(at, value, detail));
    }
    if (value.length > VALUE_BYTES_MAX) causes.push(tooLong(at, VALUE_BYTES_MAX));
  }
  const count = [bool, int, string, version].filter((value) => value !== undefined).length;
  const detail = "exactly one value must be specified";
  if (count === 0) return [...causes, required(path, detail)];
  return count === 1 ? causes : [...causes, invalid(path, attribute, detail)];
}

function deviceCauses(device: Device, path: string): Cause[] {
  const attributes = Object.entries(device.attributes ?? {});
  const capacities = Object.keys(device.capacity ?? {});
  const causes = byRule(labelErrors, device.name, `${path}.name`);
  const total = attributes.length + capacities.length;
  if (total > PER_DEVICE_MAX) {
    const what = "the total number of attributes and capacities";
    const detail = `${what} must not exceed ${PER_DEVICE_MAX}`;
    causes.push(invalid(path, total, detail));
  }
  return [
    ...causes,
    ...attributes.flatMap(([name, attribute]) => {
      const at = `${path}.attributes[${shownKey(name)}]`;
      return [...checkAttributeName(name, at), ...attributeCauses(attribute, at)];
    }),
    ...capacities.flatMap((name) =>
      checkAttributeName(name, `${path}.capacity[${shownKey(name)}]`),
    ),
  ];
}

/** Where the devices can be reached from: said in one way only. */
function placeCauses(spec: Partial<ResourceSliceSpec>): Cause[] {
  const { nodeName, nodeSelector, allNodes } = spec;
  const set: string[] = [];
  const causes: Cause[] = [];
  if (nodeName) {
    set.push("`nodeName`");
    causes.push(...byRule(subdomainErrors, nodeName, "spec.nodeName"));
  } else if (nodeName === "") {
    const detail = "must be either unset or set to a non-empty string";
    causes.push(invalid("spec.nodeName", "", detail));
  }
  if (nodeSelector) {
    set.push("`nodeSelector`");
    causes.push(...checkNodeSelector(nodeSelector, "spec.nodeSelector"));
    const terms = nodeSelector.nodeSelectorTerms;
    if (terms?.length !== 1) {
      const at = "spec.nodeSelector.nodeSelectorTerms";
      causes.push(invalid(at, terms ?? null, "must have exactly one node selector term"));
    }
  }
  if (allNodes) set.push("`allNodes`");
  else if (allNodes === false) {
    causes.push(invalid("spec.allNodes", false, "must be either unset or set to true"));
  }
  if (set.length === 1) return causes;
  const one =
    "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
  if (set.length === 0) return [...causes, required("spec", one)];
  const shown = `{${set.join(", ")}}`;
  return [...causes, invalid("spec", shown, `${one}, but multiple fields are set`)];
}

function poolCauses({ pool }: Partial<ResourceSliceSpec>): Cause[] {
  const { name, resourceSliceCount, generation = 0 } = pool ?? {};
  const causes = [
    ...checkPoolName(name, "spec.pool.name"),
    ...positive(resourceSliceCount, "spec.pool.resourceSliceCount"),
  ];
  if (generation >= 0) return causes;
  const detail = "must be greater than or equal to zero";
  return [...causes, invalid("spec.pool.generation", generation, detail)];
}

export function validateResourceSlice(
  slice: ResourceSlice,
  old: ResourceSlice | undefined,
): Cause[] {
  const spec: Partial<ResourceSliceSpec> = slice.spec ?? {};
  const { devices = [] } = spec;
  const before = old?.spec;
  return [
    ...checkDriverName(spec.driver, "spec.driver"),
    ...poolCauses(spec),
    ...(before
      ? [
          ...immutable(spec.pool?.name ?? "", before.pool?.name ?? "", "spec.pool.name"),
          ...immutable(spec.driver ?? "", before.driver ?? "", "spec.driver"),
          ...immutable(spec.nodeName, before.nodeName, "spec.nodeName"),
        ]
      : []),
    ...placeCauses(spec),
    ...each(devices, "spec.devices", deviceCauses),
    ...(devices.length > DEVICES_MAX ? [tooMany("spec.devices", devices.length, DEVICES_MAX)] : []),
    ...unique(
      devices,
      ({ name }) => name ?? "",
      (index) => `spec.devices[${index}].name`,
    ),
  ];
}
