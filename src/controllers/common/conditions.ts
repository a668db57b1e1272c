/** Conditions of a status, whatever its kind. */

export interface AnyCondition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
  lastUpdateTime?: string;
}

export function conditionOf<C extends AnyCondition>(
  conditions: readonly C[] | undefined,
  type: string,
): C | undefined {
  return conditions?.find((condition) => condition.type === type);
}

export function withoutCondition<C extends AnyCondition>(
  conditions: readonly C[] | undefined,
  type: string,
): C[] {
  return (conditions ?? []).filter((condition) => condition.type !== type);
}

/**
 * With the condition put in. One of the same status and reason stays as it is, with its times; one
 * of the same status keeps its lastTransitionTime.
 */
export function withCondition<C extends AnyCondition>(
  conditions: readonly C[] | undefined,
  made: C,
): C[] {
  const known = conditionOf(conditions, made.type);
  if (known !== undefined && known.status === made.status && known.reason === made.reason) {
    return [...(conditions ?? [])];
  }
  const kept = known?.status === made.status ? known.lastTransitionTime : undefined;
  const next = kept === undefined ? made : { ...made, lastTransitionTime: kept };
  return [...withoutCondition(conditions, made.type), next];
}
