import type { Controller } from "#client/controller.ts";
import { plan } from "#controllers/ttl/plan.ts";
import { jobs } from "#resources/kinds/job.ts";
import type { Stored } from "#resources/meta.ts";
import type { Job } from "#resources/types.gen.ts";

export const ttlController: Controller<Stored<Job>> = {
  name: "ttl-after-finished",
  kind: jobs,
  triggers: [],
  read: (key, { caches }) => caches.of(jobs).get(key),
  plan,
};
