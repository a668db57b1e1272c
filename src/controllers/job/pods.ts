/** The pods that a Job makes. */
import type { Action } from "#client/controller.ts";
import { suffixes } from "#controllers/common/hash.ts";
import { refOf } from "#controllers/common/patch.ts";
import { generatedName, podOf } from "#controllers/common/pods.ts";
import {
  FAILURE_COUNT,
  type Facts,
  failureCount,
  IGNORED_COUNT,
  ignoredCount,
  TRACKING,
} from "#controllers/job/facts.ts";
import { INDEX } from "#controllers/job/indexes.ts";
import { judge } from "#controllers/job/policy.ts";
import { jobs } from "#resources/kinds/job.ts";
import { pods as podKind } from "#resources/kinds/pod.ts";
import type { Stored } from "#resources/meta.ts";
import type { Container, Pod, PodTemplateSpec } from "#resources/types.gen.ts";

const INDEX_VARIABLE = "JOB_COMPLETION_INDEX";

function withIndexVariable(container: Container): Container {
  const env = container.env ?? [];
  if (env.some(({ name }) => name === INDEX_VARIABLE)) return container;
  const fieldRef = { fieldPath: `metadata.labels['${INDEX}']` };
  return { ...container, env: [...env, { name: INDEX_VARIABLE, valueFrom: { fieldRef } }] };
}

/** How often the index failed so far, handed on from the pod that this one replaces. */
function failureAnnotations(facts: Facts, index: number): Record<string, string> {
  const { job, held } = facts;
  if (job.spec?.backoffLimitPerIndex === undefined) return {};
  const before = held.get(index);
  if (before === undefined) return { [FAILURE_COUNT]: "0" };
  const counts = judge(job, before).counts;
  const ignored = ignoredCount(before) + Number(!counts);
  return {
    [FAILURE_COUNT]: String(failureCount(before) + Number(counts)),
    ...(ignored > 0 && { [IGNORED_COUNT]: String(ignored) }),
  };
}

function indexedTemplate(facts: Facts, index: number): PodTemplateSpec {
  const { metadata, spec } = facts.job.spec?.template ?? {};
  const own = { [INDEX]: String(index) };
  return {
    metadata: {
      ...metadata,
      labels: { ...metadata?.labels, ...own },
      annotations: { ...metadata?.annotations, ...own, ...failureAnnotations(facts, index) },
    },
    spec: {
      ...spec,
      hostname: `${facts.job.metadata.name}-${index}`,
      containers: (spec?.containers ?? []).map(withIndexVariable),
      ...(spec?.initContainers && { initContainers: spec.initContainers.map(withIndexVariable) }),
    },
  };
}

/** Longest start of an indexed name that leaves room for the index and the suffix. */
const NAME_MAX = 58;

function prefixFor(name: string, index: number | undefined): string {
  if (index === undefined) return `${name}-`;
  const end = `-${index}-`;
  return name.slice(0, NAME_MAX - end.length) + end;
}

/** One pod for each index, or for each `undefined` of a Job without indexes. */
export function createPods(
  facts: Facts,
  indexes: ReadonlyArray<number | undefined>,
  seed: number,
): Action[] {
  const { job } = facts;
  const ends = suffixes(seed, indexes.length);
  return indexes.map((index, i): Action => {
    const template = index === undefined ? job.spec?.template : indexedTemplate(facts, index);
    const generateName = prefixFor(job.metadata.name, index);
    const name = generatedName(generateName, ends[i] ?? "");
    const object = podOf({ template, kind: jobs, owner: job, name, generateName });
    const finalizers = [...(object.metadata?.finalizers ?? []), TRACKING];
    return {
      do: "create",
      kind: podKind,
      object: { ...object, metadata: { ...object.metadata, finalizers: [...new Set(finalizers)] } },
    };
  });
}

/** Lets the pod's object go: its end is counted, or does not count. */
export function untrack(pod: Stored<Pod>): Action {
  const { uid } = pod.metadata;
  const body = { metadata: { uid, "$deleteFromPrimitiveList/finalizers": [TRACKING] } };
  return { do: "patch", kind: podKind, ref: refOf(pod), type: "strategic", body };
}
