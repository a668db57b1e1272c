import { ageColumn, containerColumns, nameColumn, selectorText } from "#resources/columns/text.ts";
import { defaultTemplate } from "#resources/defaults/podspec.ts";
import { defineKind } from "#resources/kind.ts";
import { dropUnservedTemplateFields } from "#resources/podfields.ts";
import type { Deployment, DeploymentSpec } from "#resources/types.gen.ts";
import { validateDeployment } from "#resources/validate/apps.ts";
import { workloadWarnings } from "#resources/warnings/workloads.ts";

export const deployments = defineKind<Deployment>({
  group: "apps",
  version: "v1",
  kind: "Deployment",
  plural: "deployments",
  namespaced: true,
  schema: "io.k8s.api.apps.v1.Deployment",
  shortNames: ["deploy"],
  categories: ["all"],
  subresources: {
    status: true,
    scale: {
      specReplicas: ".spec.replicas",
      statusReplicas: ".status.replicas",
      selector: ".spec.selector",
    },
  },
  generation: true,
  columns: [
    nameColumn,
    {
      name: "Ready",
      cell: ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
    },
    { name: "Up-to-date", cell: ({ status }) => status?.updatedReplicas ?? 0 },
    { name: "Available", cell: ({ status }) => status?.availableReplicas ?? 0 },
    ageColumn,
    ...containerColumns<Deployment>(({ spec }) => spec?.template),
    { name: "Selector", priority: 1, cell: ({ spec }) => selectorText(spec?.selector) },
  ],
  defaults: (deployment) => {
    deployment.spec ??= {} as DeploymentSpec;
    const { spec } = deployment;
    spec.replicas ??= 1;
    spec.strategy ??= {};
    spec.strategy.type ||= "RollingUpdate";
    if (spec.strategy.type === "RollingUpdate") {
      spec.strategy.rollingUpdate ??= {};
      spec.strategy.rollingUpdate.maxUnavailable ??= "25%";
      spec.strategy.rollingUpdate.maxSurge ??= "25%";
    }
    spec.revisionHistoryLimit ??= 10;
    spec.progressDeadlineSeconds ??= 600;
    defaultTemplate(spec);
  },
  prepare: (deployment, old) => {
    dropUnservedTemplateFields(deployment, old);
    if (!old) deployment.status = {};
  },
  validate: validateDeployment,
  warnings: workloadWarnings,
});
