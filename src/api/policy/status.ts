/** Tells in a policy's status what its expressions get wrong, for each new generation of it. */
import type { Core } from "#api/core.ts";
import { internalCall } from "#api/ensure.ts";
import { typeWarnings } from "#api/policy/typecheck.ts";
import { updateObject } from "#api/write.ts";
import { must } from "#base/assert.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Stored } from "#resources/meta.ts";
import type { ValidatingAdmissionPolicy } from "#resources/types.gen.ts";

const BUCKET = "admissionregistration.k8s.io/validatingadmissionpolicies";

type Policy = Stored<ValidatingAdmissionPolicy>;

const isDone = ({ metadata, status }: Policy): boolean =>
  metadata.deletionTimestamp !== undefined ||
  (status?.typeChecking !== undefined && status.observedGeneration === metadata.generation);

async function check(core: Core, policy: Policy): Promise<void> {
  const resource = must(core.registry.byBucket(BUCKET), BUCKET);
  const { name } = policy.metadata;
  await updateObject(core, internalCall(resource, { name }), {
    name,
    subresource: "status",
    trusted: true,
    next: (live) => {
      const found = live() as Policy;
      const expressionWarnings = typeWarnings(core, found.spec ?? {});
      found.status = {
        ...found.status,
        observedGeneration: found.metadata.generation ?? 0,
        typeChecking: expressionWarnings.length > 0 ? { expressionWarnings } : {},
      };
      return found;
    },
    keep: () => {},
  });
}

/** `look` is called after each change of a policy. */
export function createTypeChecking(
  core: Core,
  policies: () => readonly Policy[],
): { look(): void; end(): void } {
  let running = false;
  let again = false;
  let cancel: () => void = () => {};
  let ended = false;
  async function run(): Promise<void> {
    running = true;
    do {
      again = false;
      for (const policy of policies()) {
        if (ended || isDone(policy)) continue;
        try {
          await check(core, policy);
        } catch (error) {
          const { name } = policy.metadata;
          core.log.warn("a policy's types cannot be checked", { name, error: messageOf(error) });
          cancel = core.clock.after(limits.policyCheckAgainMs, look);
        }
      }
    } while (again && !ended);
    running = false;
  }
  function look(): void {
    if (ended) return;
    again = true;
    if (!running) void run();
  }
  return {
    look,
    end: () => {
      ended = true;
      cancel();
    },
  };
}
