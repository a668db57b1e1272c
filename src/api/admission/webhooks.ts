/** Webhooks that change or judge objects, as their configurations say. */

import { ask, concerns, failed, patchObject } from "#api/admission/webhookask.ts";
import type { Webhook } from "#api/admission/webhookcall.ts";
import type { Attributes, MakePlugin } from "#api/admission.ts";
import { refuse } from "#api/errors.ts";
import { follow } from "#api/follow.ts";
import { webhookSight } from "#api/policy/environment.ts";
import { expressionProblem } from "#api/policy/written.ts";
import type { Resource } from "#api/registry.ts";
import { type Cause, invalid } from "#resources/field.ts";
import type {
  MutatingWebhook,
  MutatingWebhookConfiguration,
  ValidatingWebhookConfiguration,
} from "#resources/types.gen.ts";

const GROUP = "admissionregistration.k8s.io";

/** Configurations of webhooks could otherwise lock everybody out for good. */
const isExempt = ({ resource }: Attributes): boolean =>
  resource.kind.group === GROUP && resource.kind.plural.endsWith("webhookconfigurations");

type Configuration = MutatingWebhookConfiguration | ValidatingWebhookConfiguration;

/** Conditions that are no expressions are refused when they are written; old ones may stay. */
function checkConditions({ object, old, resource, name }: Attributes): void {
  const before = new Set(
    ((old as Configuration | undefined)?.webhooks ?? []).flatMap(({ matchConditions }) =>
      (matchConditions ?? []).map(({ expression }) => expression),
    ),
  );
  const causes: Cause[] = [];
  (object as Configuration).webhooks?.forEach(({ matchConditions = [] }, place) => {
    matchConditions.forEach(({ expression }, index) => {
      if (before.has(expression)) return;
      const problem = expressionProblem(expression, webhookSight, ["bool"]);
      if (problem === undefined) return;
      const field = `webhooks[${place}].matchConditions[${index}].expression`;
      causes.push(invalid(field, expression, problem));
    });
  });
  if (causes.length > 0) throw refuse.invalid(resource.kind, name, causes);
}

export const webhooks: MakePlugin = (core) => {
  const { store, log } = core;
  const mutating = follow<MutatingWebhookConfiguration>(
    store,
    log,
    `${GROUP}/mutatingwebhookconfigurations`,
  );
  const validating = follow<ValidatingWebhookConfiguration>(
    store,
    log,
    `${GROUP}/validatingwebhookconfigurations`,
  );

  async function mutateOnce(
    attributes: Attributes,
    chosen: (webhook: MutatingWebhook) => boolean,
  ): Promise<Set<MutatingWebhook>> {
    const changers = new Set<MutatingWebhook>();
    for (const configuration of mutating.all()) {
      for (const webhook of configuration.webhooks ?? []) {
        const seen = chosen(webhook) ? await concerns(core, webhook, attributes) : undefined;
        if (seen === undefined) continue;
        const patch = (await ask(core, webhook, attributes, seen))?.patch;
        try {
          const changed = patch !== undefined && (await patchObject(attributes, patch, seen));
          if (changed) changers.add(webhook);
        } catch (error) {
          if (webhook.failurePolicy !== "Ignore") throw failed(webhook, error);
        }
      }
    }
    return changers;
  }

  /** Webhooks that asked for it run once more where a later one changed the object. */
  async function mutateAll(attributes: Attributes): Promise<void> {
    const changers = await mutateOnce(attributes, () => true);
    if (changers.size === 0) return;
    const last = [...changers].at(-1);
    const again = (webhook: MutatingWebhook): boolean =>
      webhook.reinvocationPolicy === "IfNeeded" && webhook !== last;
    await mutateOnce(attributes, again);
  }

  async function validateAll(attributes: Attributes): Promise<void> {
    const chosen: Array<[Webhook, Resource]> = [];
    for (const configuration of validating.all()) {
      for (const webhook of configuration.webhooks ?? []) {
        const seen = await concerns(core, webhook, attributes);
        if (seen !== undefined) chosen.push([webhook, seen]);
      }
    }
    await Promise.all(chosen.map(([webhook, seen]) => ask(core, webhook, attributes, seen)));
  }

  return {
    name: "Webhooks",
    async start() {
      const ends = [await mutating.start(), await validating.start()];
      return () => {
        for (const end of ends) end();
      };
    },
    mutate(attributes) {
      if (mutating.all().length === 0 || isExempt(attributes)) return;
      return mutateAll(attributes);
    },
    async validate(attributes) {
      if (isExempt(attributes)) {
        if (attributes.object !== undefined) checkConditions(attributes);
        return;
      }
      if (attributes.operation === "DELETE" && mutating.all().length > 0) {
        await mutateOnce(attributes, () => true);
      }
      if (validating.all().length > 0) await validateAll(attributes);
    },
  };
};
