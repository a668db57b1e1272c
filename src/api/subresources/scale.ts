/** The number of replicas of anything that has one (autoscaling/v1 Scale). */

import { mediaTypeOf, readText } from "#api/body.ts";
import type { Call, Core } from "#api/core.ts";
import { itemIn } from "#api/custom/convert.ts";
import { readAdopted } from "#api/decode.ts";
import { refuse } from "#api/errors.ts";
import { isObject } from "#api/json.ts";
import { metadataOf } from "#api/meta.ts";
import { makePatch } from "#api/patch.ts";
import { inVersion, mustGet } from "#api/read.ts";
import { describe } from "#api/registry.ts";
import { respond } from "#api/respond.ts";
import type { Subresource } from "#api/subresources/subresource.ts";
import { place } from "#api/verbs.ts";
import { updateObject } from "#api/write.ts";
import { must } from "#base/assert.ts";
import { invalid } from "#resources/field.ts";
import { defineKind, type ScalePaths } from "#resources/kind.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import { setMember } from "#resources/patch/values.ts";
import { labelSelectorText } from "#resources/selector.ts";
import type { LabelSelector, Scale } from "#resources/types.gen.ts";

const SCALE = describe(
  defineKind<Scale>({
    group: "autoscaling",
    version: "v1",
    kind: "Scale",
    plural: "scales",
    namespaced: true,
    schema: "io.k8s.api.autoscaling.v1.Scale",
  }),
);

const segments = (path: string): string[] => path.split(".").filter((each) => each !== "");

function at(object: unknown, path: string | undefined): unknown {
  if (path === undefined) return undefined;
  let value: unknown = object;
  for (const name of segments(path))
    value = isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  return value;
}

function setAt(object: object, path: string, value: unknown): void {
  const names = segments(path);
  const last = must(names.pop(), "end of a scale path");
  let here = object as Record<string, unknown>;
  for (const name of names) {
    const next = Object.hasOwn(here, name) ? here[name] : undefined;
    if (isObject(next)) here = next;
    else {
      const made = {};
      setMember(here, name, made);
      here = made;
    }
  }
  setMember(here, last, value);
}

function selectorText(value: unknown): string {
  if (typeof value === "string") return value;
  if (!isObject(value)) return "";
  if ("matchLabels" in value || "matchExpressions" in value) {
    return labelSelectorText(value as LabelSelector);
  }
  return labelSelectorText({ matchLabels: value as Record<string, string> });
}

function scaleOf(paths: ScalePaths, object: Stored): Stored<Scale> {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = selectorText(at(object, paths.selector));
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, ...(namespace && { namespace }), uid, resourceVersion, creationTimestamp },
    spec: { replicas: Number(at(object, paths.specReplicas) ?? 0) },
    status: {
      replicas: Number(at(object, paths.statusReplicas) ?? 0),
      ...(selector !== "" && { selector }),
    },
  };
}

async function change(
  core: Core,
  call: Call,
  paths: ScalePaths,
  make: (scale: Stored<Scale>) => ApiObject,
): Promise<Response> {
  const name = call.target.name ?? "";
  const { item } = await updateObject(core, call, {
    name,
    subresource: "scale",
    trusted: true,
    next: (read) => {
      const live = read();
      const wanted = make(scaleOf(paths, live)) as Scale;
      const replicas = wanted.spec?.replicas ?? 0;
      if (!Number.isInteger(replicas) || replicas < 0) {
        throw refuse.invalid(SCALE.kind, name, [
          invalid("spec.replicas", replicas, "must be greater than or equal to 0"),
        ]);
      }
      setAt(live, paths.specReplicas, replicas);
      const { uid, resourceVersion } = wanted.metadata ?? {};
      if (uid) metadataOf(live).uid = uid;
      metadataOf(live).resourceVersion = resourceVersion ?? "";
      return live;
    },
    keep: () => {},
  });
  return respond(call, scaleOf(paths, inVersion(call.resource, await itemIn(call.resource, item))));
}

export const scale: Subresource = {
  name: "scale",
  of: (resource) => resource.kind.subresources.scale !== undefined,
  kind: { group: "autoscaling", version: "v1", kind: "Scale" },
  verbs: ["get", "patch", "update"],
  async serve(core, call) {
    const paths = must(call.resource.kind.subresources.scale, "scale paths");
    const name = call.target.name ?? "";
    switch (call.verb) {
      case "get": {
        const item = await mustGet(core, call);
        return respond(
          call,
          scaleOf(paths, inVersion(call.resource, await itemIn(call.resource, item))),
        );
      }
      case "update": {
        const wanted = await readAdopted(call, SCALE);
        place(call, wanted, name);
        return change(core, call, paths, () => wanted);
      }
      case "patch": {
        const type = mediaTypeOf(call.request);
        const text = await readText(call.request);
        const asScale = { ...call, resource: SCALE };
        const patch = makePatch(core, asScale, { type, text, subresource: "scale" });
        return change(core, call, paths, (scaled) => patch.change(scaled));
      }
      default:
        throw refuse.method();
    }
  },
};
