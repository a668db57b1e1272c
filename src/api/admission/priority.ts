/**
 * The number behind a pod's priority class.
 * https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
 */
import type { Attributes, MakePlugin } from "#api/admission.ts";
import { refuse } from "#api/errors.ts";
import { follow } from "#api/follow.ts";
import type { Pod, PriorityClass } from "#resources/types.gen.ts";

const BUCKET = "scheduling.k8s.io/priorityclasses";

export const priority: MakePlugin = ({ store, log }) => {
  const classes = follow<PriorityClass>(store, log, BUCKET);

  /** The class for pods that name none: of several, the lowest. */
  const defaultClass = (): PriorityClass | undefined =>
    classes
      .all()
      .filter((each) => each.globalDefault === true)
      .sort((a, b) => a.value - b.value)[0];

  function classOf({ resource, name }: Attributes, wanted: string | undefined) {
    if (!wanted) return defaultClass();
    const found = classes.all().find(({ metadata }) => metadata.name === wanted);
    if (found !== undefined) return found;
    throw refuse.forbidden(resource.kind, name, `no PriorityClass with name ${wanted} was found`);
  }

  function admit(attributes: Attributes): void {
    const { spec } = attributes.object as Pod;
    if (spec === undefined) return;
    const { resource, name } = attributes;
    const found = classOf(attributes, spec.priorityClassName);
    const value = found?.value ?? 0;
    const policy = found?.preemptionPolicy ?? "PreemptLowerPriority";
    const refuseWith = (what: string, given: unknown, is: unknown): never => {
      throw refuse.forbidden(
        resource.kind,
        name,
        `the ${what} (${given}) must not be provided in pod spec; priority admission ` +
          `controller computed ${is} from the given PriorityClass name`,
      );
    };
    if (spec.priority !== undefined && spec.priority !== value) {
      refuseWith("integer value of priority", spec.priority, value);
    }
    if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy) {
      refuseWith("string value of PreemptionPolicy", spec.preemptionPolicy, policy);
    }
    const className = found?.metadata?.name;
    if (className !== undefined) spec.priorityClassName = className;
    spec.priority = value;
    spec.preemptionPolicy = policy;
  }

  return {
    name: "Priority",
    start: () => classes.start(),
    mutate(attributes) {
      const { resource, operation, subresource, object, old } = attributes;
      if (resource.bucket !== "core/pods" || subresource !== "") return;
      if (operation === "CREATE") return admit(attributes);
      if (operation !== "UPDATE") return;
      // What admission set is not the client's to lose.
      const spec = (object as Pod | undefined)?.spec;
      const before = (old as Pod | undefined)?.spec;
      if (spec === undefined || before === undefined) return;
      if (before.priority !== undefined) spec.priority ??= before.priority;
      if (before.preemptionPolicy !== undefined) spec.preemptionPolicy ??= before.preemptionPolicy;
    },
  };
};
