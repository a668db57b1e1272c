/** Every controller: a new one is a folder and a line here. */
import type { Clock } from "#base/clock.ts";
import type { Controller } from "#client/controller.ts";
import { type LoopOptions, runController } from "#client/loop.ts";
import { autoscalerController } from "#controllers/autoscaler/controller.ts";
import { claimBinderController } from "#controllers/claimbinder/controller.ts";
import { cronJobController } from "#controllers/cronjob/controller.ts";
import { csrController, type Signer } from "#controllers/csr/controller.ts";
import { daemonSetController } from "#controllers/daemonset/controller.ts";
import { deploymentController } from "#controllers/deployment/controller.ts";
import { disruptionController } from "#controllers/disruption/controller.ts";
import { endpointsController } from "#controllers/endpoints/controller.ts";
import { endpointSliceController } from "#controllers/endpointslice/controller.ts";
import { ephemeralController } from "#controllers/ephemeralvolume/controller.ts";
import { garbageController } from "#controllers/garbage/controller.ts";
import { ingressController } from "#controllers/ingress/controller.ts";
import { jobController } from "#controllers/job/controller.ts";
import { loadBalancerController } from "#controllers/loadbalancer/controller.ts";
import {
  localProvisionerController,
  localReleaseController,
} from "#controllers/localprovisioner/controller.ts";
import { mirroringController } from "#controllers/mirroring/controller.ts";
import { namespaceController } from "#controllers/namespace/controller.ts";
import { nodeIpamController } from "#controllers/nodeipam/controller.ts";
import { nodeLifecycleController } from "#controllers/nodelifecycle/controller.ts";
import { podGcController } from "#controllers/podgc/controller.ts";
import { replicaSetController } from "#controllers/replicaset/controller.ts";
import { replicationController } from "#controllers/replication/controller.ts";
import { resourceQuotaController } from "#controllers/resourcequota/controller.ts";
import { rootCaController } from "#controllers/rootca/controller.ts";
import { serviceAccountController } from "#controllers/serviceaccount/controller.ts";
import { serviceCidrController } from "#controllers/servicecidr/controller.ts";
import { statefulSetController } from "#controllers/statefulset/controller.ts";
import {
  attributesClassProtection,
  claimProtection,
  volumeProtection,
} from "#controllers/storageprotection/controller.ts";
import { taintEvictionController } from "#controllers/tainteviction/controller.ts";
import { tokenCleanerController } from "#controllers/tokencleaner/controller.ts";
import { ttlController } from "#controllers/ttl/controller.ts";
import { volumeBinderController } from "#controllers/volumebinder/controller.ts";
import { volumeExpandController } from "#controllers/volumeexpand/controller.ts";

export interface ControllerOptions {
  clock: Clock;
  /** PEM of the cluster's CA, for the ConfigMap kube-root-ca.crt of every namespace. */
  caCertificate: string;
  /** Range of all pods, `10.42.0.0/16`: nodes get a /24 of it each. */
  clusterCidr: string;
  /** What Services get their addresses out of. */
  serviceCidr: string;
  /** A node that gives no sign for this long is gone (limits.nodeLeaseDurationMs). */
  nodeGraceMs: number;
  /** Signs with the cluster's CA what an operator, or a node's right, approved. */
  signCertificate: Signer;
}

export function allControllers(options: ControllerOptions): ReadonlyArray<Controller<unknown>> {
  const { clock } = options;
  return [
    deploymentController,
    replicaSetController,
    replicationController,
    statefulSetController,
    daemonSetController(clock),
    jobController,
    cronJobController,
    ttlController,
    endpointSliceController,
    endpointsController,
    mirroringController,
    loadBalancerController,
    ingressController,
    disruptionController,
    autoscalerController(),
    resourceQuotaController(clock),
    claimBinderController,
    volumeBinderController,
    claimProtection,
    volumeProtection,
    attributesClassProtection,
    ephemeralController,
    localProvisionerController,
    localReleaseController,
    volumeExpandController,
    namespaceController,
    serviceAccountController,
    rootCaController(options.caCertificate),
    nodeIpamController(options.clusterCidr),
    serviceCidrController(options.serviceCidr),
    nodeLifecycleController(clock, options.nodeGraceMs),
    taintEvictionController,
    podGcController(clock),
    csrController(options.signCertificate),
    tokenCleanerController,
    // Last: it looks into the others' caches where there are some, and opens what is left.
    garbageController,
  ];
}

/** Runs all until the signal aborts. */
export function startControllers(options: ControllerOptions & LoopOptions): void {
  for (const controller of allControllers(options)) runController(controller, options);
}
