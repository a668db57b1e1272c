/**
 * Profiles: the same filters with other scores, chosen by a pod's `schedulerName`
 * (kubernetes.io/docs/reference/scheduling/config, "Multiple profiles").
 */
import { commonScores, leastAllocated, mostAllocated, type Score } from "#scheduler/scores.ts";

export interface Profile {
  readonly schedulerName: string;
  readonly scores: readonly Score[];
}

export const DEFAULT_SCHEDULER = "default-scheduler";

export const defaultProfile: Profile = {
  schedulerName: DEFAULT_SCHEDULER,
  scores: [leastAllocated, ...commonScores],
};

/** Fills nodes one after the other, so that others can be switched off. */
export const packingProfile: Profile = {
  schedulerName: "packing-scheduler",
  scores: [mostAllocated, ...commonScores],
};

export const profiles: readonly Profile[] = [defaultProfile, packingProfile];
