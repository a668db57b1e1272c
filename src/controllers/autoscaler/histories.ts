/**
 * What was recommended and changed of late, for windows and rates. Lost at a restart, as
 * upstream's.
 */
import {
  type Change,
  DOWN_WINDOW_SECONDS,
  type History,
  type Recommendation,
} from "#controllers/autoscaler/behavior.ts";
import type { AutoscalingV2HorizontalPodAutoscaler } from "#resources/types.gen.ts";

interface Memory {
  replicas: number;
  lookedMs: number;
  recommendations: Recommendation[];
  changes: Change[];
}

/**
 * The longest period that a policy may have (autoscaling validation: 30 minutes), and window (1
 * hour).
 */
const KEPT_MS_MAX = 3_600_000;

function keptMs(hpa: AutoscalingV2HorizontalPodAutoscaler): number {
  const rules = [hpa.spec?.behavior?.scaleUp, hpa.spec?.behavior?.scaleDown];
  const seconds = rules.flatMap((one) => [
    one?.stabilizationWindowSeconds ?? DOWN_WINDOW_SECONDS,
    ...(one?.policies ?? []).map(({ periodSeconds }) => periodSeconds),
  ]);
  return Math.min(KEPT_MS_MAX, Math.max(...seconds) * 1000);
}

export class Histories {
  readonly #byKey = new Map<string, Memory>();

  /** Notes a change of the scale, whoever made it, and answers the past; then notes the wish. */
  seen(
    key: string,
    hpa: AutoscalingV2HorizontalPodAutoscaler,
    replicas: number,
    now: number,
    wish?: number,
  ): History {
    const memory = this.#byKey.get(key) ?? {
      replicas,
      lookedMs: now,
      // The size at the first look counts as wished for: a restart shrinks nothing at once.
      recommendations: [{ atMs: now, replicas }],
      changes: [],
    };
    this.#byKey.set(key, memory);
    const by = replicas - memory.replicas;
    // It was changed at the last look, most likely by us.
    if (by !== 0) memory.changes.push({ atMs: memory.lookedMs, by });
    memory.replicas = replicas;
    memory.lookedMs = now;
    const oldest = now - keptMs(hpa);
    memory.recommendations = memory.recommendations.filter(({ atMs }) => atMs > oldest);
    memory.changes = memory.changes.filter(({ atMs }) => atMs > oldest);
    const history = {
      recommendations: [...memory.recommendations],
      changes: [...memory.changes],
    };
    if (wish !== undefined) memory.recommendations.push({ atMs: now, replicas: wish });
    return history;
  }

  forget(key: string): void {
    this.#byKey.delete(key);
  }
}
