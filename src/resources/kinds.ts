/**
 * All built-in kinds that v1.34 serves by default. A new kind is a file in `kinds/` and a line
 * here.
 */
import type { Kind } from "#resources/kind.ts";
import { apiServices } from "#resources/kinds/apiservice.ts";
import { certificateSigningRequests } from "#resources/kinds/certificatesigningrequest.ts";
import { clusterRoles } from "#resources/kinds/clusterrole.ts";
import { clusterRoleBindings } from "#resources/kinds/clusterrolebinding.ts";
import { componentStatuses } from "#resources/kinds/componentstatus.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { controllerRevisions } from "#resources/kinds/controllerrevision.ts";
import { cronJobs } from "#resources/kinds/cronjob.ts";
import { csiDrivers } from "#resources/kinds/csidriver.ts";
import { csiNodes } from "#resources/kinds/csinode.ts";
import { csiStorageCapacities } from "#resources/kinds/csistoragecapacity.ts";
import { customResourceDefinitions } from "#resources/kinds/customresourcedefinition.ts";
import { daemonSets } from "#resources/kinds/daemonset.ts";
import { deployments } from "#resources/kinds/deployment.ts";
import { deviceClasses } from "#resources/kinds/deviceclass.ts";
import { endpoints } from "#resources/kinds/endpoints.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { events } from "#resources/kinds/event.ts";
import { eventsV1Events } from "#resources/kinds/eventsv1.ts";
import { flowSchemas } from "#resources/kinds/flowschema.ts";
import { horizontalPodAutoscalers } from "#resources/kinds/horizontalpodautoscaler.ts";
import { horizontalPodAutoscalersV1 } from "#resources/kinds/horizontalpodautoscalerv1.ts";
import { ingresses } from "#resources/kinds/ingress.ts";
import { ingressClasses } from "#resources/kinds/ingressclass.ts";
import { ipAddresses } from "#resources/kinds/ipaddress.ts";
import { jobs } from "#resources/kinds/job.ts";
import { leases } from "#resources/kinds/lease.ts";
import { limitRanges } from "#resources/kinds/limitrange.ts";
import { nodeMetrics, podMetrics } from "#resources/kinds/metrics.ts";
import { mutatingWebhookConfigurations } from "#resources/kinds/mutatingwebhook.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { networkPolicies } from "#resources/kinds/networkpolicy.ts";
import { nodes } from "#resources/kinds/node.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { podDisruptionBudgets } from "#resources/kinds/poddisruptionbudget.ts";
import { podTemplates } from "#resources/kinds/podtemplate.ts";
import { priorityClasses } from "#resources/kinds/priorityclass.ts";
import { priorityLevelConfigurations } from "#resources/kinds/prioritylevelconfiguration.ts";
import { replicaSets } from "#resources/kinds/replicaset.ts";
import { replicationControllers } from "#resources/kinds/replicationcontroller.ts";
import { resourceClaims } from "#resources/kinds/resourceclaim.ts";
import { resourceClaimTemplates } from "#resources/kinds/resourceclaimtemplate.ts";
import { resourceQuotas } from "#resources/kinds/resourcequota.ts";
import { resourceSlices } from "#resources/kinds/resourceslice.ts";
import {
  bindings,
  localSubjectAccessReviews,
  selfSubjectAccessReviews,
  selfSubjectReviews,
  selfSubjectRulesReviews,
  subjectAccessReviews,
  tokenReviews,
} from "#resources/kinds/reviews.ts";
import { roles } from "#resources/kinds/role.ts";
import { roleBindings } from "#resources/kinds/rolebinding.ts";
import { runtimeClasses } from "#resources/kinds/runtimeclass.ts";
import { secrets } from "#resources/kinds/secret.ts";
import { services } from "#resources/kinds/service.ts";
import { serviceAccounts } from "#resources/kinds/serviceaccount.ts";
import { serviceCidrs } from "#resources/kinds/servicecidr.ts";
import { statefulSets } from "#resources/kinds/statefulset.ts";
import { storageClasses } from "#resources/kinds/storageclass.ts";
import { validatingAdmissionPolicies } from "#resources/kinds/validatingpolicy.ts";
import { validatingAdmissionPolicyBindings } from "#resources/kinds/validatingpolicybinding.ts";
import { validatingWebhookConfigurations } from "#resources/kinds/validatingwebhook.ts";
import { volumeAttachments } from "#resources/kinds/volumeattachment.ts";
import { volumeAttributesClasses } from "#resources/kinds/volumeattributesclass.ts";

export const kinds: readonly Kind[] = [
  pods,
  nodes,
  namespaces,
  services,
  endpoints,
  configMaps,
  secrets,
  serviceAccounts,
  events,
  persistentVolumes,
  persistentVolumeClaims,
  replicationControllers,
  limitRanges,
  resourceQuotas,
  podTemplates,
  componentStatuses,
  deployments,
  replicaSets,
  statefulSets,
  daemonSets,
  controllerRevisions,
  jobs,
  cronJobs,
  horizontalPodAutoscalers,
  podDisruptionBudgets,
  ingresses,
  ingressClasses,
  networkPolicies,
  serviceCidrs,
  ipAddresses,
  roles,
  roleBindings,
  clusterRoles,
  clusterRoleBindings,
  storageClasses,
  volumeAttachments,
  csiDrivers,
  csiNodes,
  csiStorageCapacities,
  volumeAttributesClasses,
  priorityClasses,
  leases,
  endpointSlices,
  runtimeClasses,
  certificateSigningRequests,
  mutatingWebhookConfigurations,
  validatingWebhookConfigurations,
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
  customResourceDefinitions,
  apiServices,
  flowSchemas,
  priorityLevelConfigurations,
  deviceClasses,
  resourceClaims,
  resourceClaimTemplates,
  resourceSlices,
  bindings,
  tokenReviews,
  selfSubjectReviews,
  subjectAccessReviews,
  selfSubjectAccessReviews,
  selfSubjectRulesReviews,
  localSubjectAccessReviews,
  nodeMetrics,
  podMetrics,
  eventsV1Events,
  horizontalPodAutoscalersV1,
];
