/**
 * The roles and bindings that every cluster has.
 * https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
 */
import type { ApiObject } from "#resources/meta.ts";
import type { ObjectMeta, PolicyRule, RbacV1Subject } from "#resources/types.gen.ts";

const API_GROUP = "rbac.authorization.k8s.io";
const LABELS = { "kubernetes.io/bootstrapping": "rbac-defaults" };
const ANNOTATIONS = { "rbac.authorization.kubernetes.io/autoupdate": "true" };

const list = (text: string): string[] => text.split(" ");

const READ = "get list watch";
const WRITE = "create update patch delete deletecollection";
const ALL = `${READ} ${WRITE}`;
const APPS =
  "controllerrevisions statefulsets statefulsets/status statefulsets/scale daemonsets " +
  "daemonsets/status " +
  "deployments deployments/status deployments/scale replicasets replicasets/status " +
  "replicasets/scale";

/** Words parted by spaces; the core group is written `core`. */
function rule(verbs: string, groups: string, resources: string, names?: string): PolicyRule {
  return {
    verbs: list(verbs),
    apiGroups: list(groups).map((group) => (group === "core" ? "" : group)),
    resources: list(resources),
    ...(names !== undefined && { resourceNames: list(names) }),
  };
}

const urls = (paths: string): PolicyRule => ({ verbs: ["get"], nonResourceURLs: list(paths) });

const EVENTS = rule("create patch update", "core events.k8s.io", "events");

const VIEW: PolicyRule[] = [
  rule(
    READ,
    "core",
    "pods replicationcontrollers replicationcontrollers/scale serviceaccounts services " +
      "services/status " +
      "endpoints persistentvolumeclaims persistentvolumeclaims/status configmaps",
  ),
  rule(
    READ,
    "core",
    "limitranges resourcequotas bindings events pods/status resourcequotas/status " +
      "namespaces/status " +
      "replicationcontrollers/status pods/log",
  ),
  rule(READ, "core", "namespaces"),
  rule(READ, "discovery.k8s.io", "endpointslices"),
  rule(READ, "apps", APPS),
  rule(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
  rule(READ, "batch", "jobs cronjobs cronjobs/status jobs/status"),
  rule(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
  rule(READ, "networking.k8s.io", "networkpolicies ingresses ingresses/status"),
  rule(READ, "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates"),
  // Who installs a metrics server adds this by a role of its own.
  rule(READ, "metrics.k8s.io", "pods nodes"),
];

const EDIT: PolicyRule[] = [
  rule(READ, "core", "pods/attach pods/proxy pods/exec pods/portforward secrets services/proxy"),
  rule("impersonate", "core", "serviceaccounts"),
  rule(WRITE, "core", "pods pods/attach pods/proxy pods/exec pods/portforward"),
  rule("create", "core", "pods/eviction"),
  rule(
    WRITE,
    "core",
    "replicationcontrollers replicationcontrollers/scale serviceaccounts services services/proxy " +
      "persistentvolumeclaims configmaps secrets events",
  ),
  rule("create", "core", "serviceaccounts/token"),
  rule(
    WRITE,
    "apps",
    "statefulsets statefulsets/scale daemonsets deployments deployments/scale " +
      "deployments/rollback " +
      "replicasets replicasets/scale",
  ),
  rule(WRITE, "autoscaling", "horizontalpodautoscalers"),
  rule(WRITE, "batch", "jobs cronjobs"),
  rule(WRITE, "policy", "poddisruptionbudgets"),
  rule(WRITE, "networking.k8s.io", "networkpolicies ingresses"),
  rule(ALL, "coordination.k8s.io", "leases"),
  rule(WRITE, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
];

const ADMIN: PolicyRule[] = [
  rule("create", "authorization.k8s.io", "localsubjectaccessreviews"),
  rule(ALL, API_GROUP, "roles rolebindings"),
];

/** What Kubernetes' kubelet may do; the Node authorizer narrows it. */
export const NODE_RULES: PolicyRule[] = [
  rule("create", "authentication.k8s.io", "tokenreviews"),
  rule("create", "authorization.k8s.io", "subjectaccessreviews localsubjectaccessreviews"),
  rule(READ, "core", "services"),
  rule("create get list watch", "core", "nodes"),
  rule("update patch", "core", "nodes/status nodes"),
  rule("create update patch", "core", "events"),
  rule(READ, "core", "pods"),
  rule("create delete", "core", "pods"),
  rule("update patch", "core", "pods/status"),
  rule("create", "core", "pods/eviction serviceaccounts/token"),
  rule(READ, "core", "secrets configmaps"),
  rule("get", "core", "persistentvolumeclaims persistentvolumes endpoints serviceaccounts"),
  rule("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
  rule("get create update patch delete", "coordination.k8s.io", "leases"),
  rule("get", "storage.k8s.io", "volumeattachments"),
  rule("get update patch", "core", "persistentvolumeclaims/status"),
  rule(READ, "storage.k8s.io", "csidrivers"),
  rule("get create update patch delete", "storage.k8s.io", "csinodes"),
  rule(READ, "node.k8s.io", "runtimeclasses"),
  rule("get", "resource.k8s.io", "resourceclaims"),
  rule("deletecollection", "resource.k8s.io", "resourceslices"),
];

/** Our agent also is the proxy, the DNS server, the Ingress and the policy enforcer of its node. */
const AGENT: PolicyRule[] = [
  rule(READ, "core", "nodes services endpoints namespaces pods"),
  rule(READ, "discovery.k8s.io", "endpointslices"),
  rule(READ, "networking.k8s.io", "networkpolicies ingresses ingressclasses servicecidrs"),
  rule(READ, "storage.k8s.io", "storageclasses"),
  rule("create patch update", "events.k8s.io", "events"),
];

const CONTROLLER_MANAGER: PolicyRule[] = [
  EVENTS,
  rule("create", "coordination.k8s.io", "leases"),
  rule("get update", "coordination.k8s.io", "leases", "kube-controller-manager"),
  rule("create", "core", "secrets serviceaccounts"),
  rule("delete", "core", "secrets"),
  rule("get", "core", "namespaces secrets serviceaccounts configmaps"),
  rule("update", "core", "secrets serviceaccounts"),
  rule("create", "authentication.k8s.io", "tokenreviews"),
  rule("create", "authorization.k8s.io", "subjectaccessreviews"),
  rule("list watch", "*", "*"),
  rule("create", "core", "serviceaccounts/token"),
];

const SCHEDULER: PolicyRule[] = [
  EVENTS,
  rule("create", "coordination.k8s.io", "leases"),
  rule("get update list watch", "coordination.k8s.io", "leases", "kube-scheduler"),
  rule(ALL, "coordination.k8s.io", "leasecandidates"),
  rule(READ, "core", "nodes"),
  rule(`${READ} delete`, "core", "pods"),
  rule("create", "core", "pods/binding bindings"),
  rule("patch update", "core", "pods/status"),
  rule(READ, "core", "services replicationcontrollers"),
  rule(READ, "apps", "replicasets statefulsets"),
  rule(READ, "policy", "poddisruptionbudgets"),
  rule(READ, "core", "persistentvolumeclaims persistentvolumes namespaces"),
  rule("create", "authentication.k8s.io", "tokenreviews"),
  rule("create", "authorization.k8s.io", "subjectaccessreviews"),
  rule(READ, "storage.k8s.io", "csinodes volumeattachments csidrivers csistoragecapacities"),
  rule(READ, "resource.k8s.io", "deviceclasses resourceslices"),
  rule(`${READ} update patch`, "resource.k8s.io", "resourceclaims resourceclaims/status"),
  rule("update", "core", "pods/finalizers"),
];

const HEALTH = "/livez /readyz /healthz";
const SIGNER = "certificates.k8s.io";

const approver = (name: string): PolicyRule =>
  rule("approve", SIGNER, "signers", `kubernetes.io/${name}`);

const ROLES: Record<string, PolicyRule[]> = {
  "cluster-admin": [rule("*", "*", "*"), { verbs: ["*"], nonResourceURLs: ["*"] }],
  "system:discovery": [
    urls(`${HEALTH} /version /version/ /openapi /openapi/* /api /api/* /apis /apis/*`),
  ],
  "system:monitoring": [
    urls(`/metrics /metrics/slis ${HEALTH} /livez/* /readyz/* /healthz/*`),
    rule("get", "core", "nodes/metrics"),
  ],
  "system:basic-user": [
    rule("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
    rule("create", "authentication.k8s.io", "selfsubjectreviews"),
  ],
  "system:public-info-viewer": [urls(`${HEALTH} /version /version/`)],
  "system:node": NODE_RULES,
  "system:node-problem-detector": [
    rule("get", "core", "nodes"),
    rule("patch", "core", "nodes/status"),
    EVENTS,
  ],
  "system:node-bootstrapper": [rule("create get list watch", SIGNER, "certificatesigningrequests")],
  "system:auth-delegator": [
    rule("create", "authentication.k8s.io", "tokenreviews"),
    rule("create", "authorization.k8s.io", "subjectaccessreviews"),
  ],
  "system:kube-aggregator": [rule(READ, "core", "services endpoints")],
  "system:kube-controller-manager": CONTROLLER_MANAGER,
  "system:kube-scheduler": SCHEDULER,
  "system:kube-dns": [rule("list watch", "core", "endpoints services")],
  "system:persistent-volume-provisioner": [
    rule("get list watch create delete", "core", "persistentvolumes"),
    rule("get list watch update", "core", "persistentvolumeclaims"),
    rule(READ, "storage.k8s.io", "storageclasses"),
    rule("watch", "core", "events"),
    EVENTS,
  ],
  "system:volume-scheduler": [
    rule(`${READ} update patch`, "core", "persistentvolumes persistentvolumeclaims"),
    rule(READ, "storage.k8s.io", "storageclasses"),
  ],
  "system:node-proxier": [
    rule("list watch", "core", "services endpoints"),
    rule(READ, "core", "nodes"),
    EVENTS,
    rule("list watch", "networking.k8s.io", "servicecidrs"),
    rule("list watch", "discovery.k8s.io", "endpointslices"),
  ],
  "system:kubelet-api-admin": [
    rule(READ, "core", "nodes"),
    rule("proxy", "core", "nodes"),
    rule("*", "core", "nodes/proxy nodes/metrics nodes/stats nodes/log"),
    rule("*", "core", "nodes/pods nodes/healthz nodes/configz"),
  ],
  "system:certificates.k8s.io:certificatesigningrequests:nodeclient": [
    rule("create", SIGNER, "certificatesigningrequests/nodeclient"),
  ],
  "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": [
    rule("create", SIGNER, "certificatesigningrequests/selfnodeclient"),
  ],
  "system:certificates.k8s.io:legacy-unknown-approver": [approver("legacy-unknown")],
  "system:certificates.k8s.io:kubelet-serving-approver": [approver("kubelet-serving")],
  "system:certificates.k8s.io:kube-apiserver-client-approver": [approver("kube-apiserver-client")],
  "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver": [
    approver("kube-apiserver-client-kubelet"),
  ],
  "system:service-account-issuer-discovery": [
    urls(
      "/.well-known/openid-configuration /.well-known/openid-configuration/ " +
        "/openid/v1/jwks /openid/v1/jwks/",
    ),
  ],
  "system:bramble-agent": AGENT,
};

const aggregateTo = (role: string): Record<string, string> => ({
  [`${API_GROUP}/aggregate-to-${role}`]: "true",
});

/** Roles that are the sum of all that carry their label. */
const AGGREGATED: Record<string, Record<string, string>> = {
  admin: {},
  edit: aggregateTo("admin"),
  view: aggregateTo("edit"),
};

const PARTS: Record<string, PolicyRule[]> = { admin: ADMIN, edit: EDIT, view: VIEW };

const meta = (name: string, labels: Record<string, string> = {}): ObjectMeta => ({
  name,
  labels: { ...LABELS, ...labels },
  annotations: ANNOTATIONS,
});

const clusterRole = (name: string, rest: object, labels = {}): ApiObject => ({
  apiVersion: `${API_GROUP}/v1`,
  kind: "ClusterRole",
  metadata: meta(name, labels),
  ...rest,
});

export function defaultClusterRoles(): ApiObject[] {
  return [
    ...Object.entries(ROLES).map(([name, rules]) => clusterRole(name, { rules })),
    ...Object.entries(PARTS).map(([name, rules]) =>
      clusterRole(`system:aggregate-to-${name}`, { rules }, aggregateTo(name)),
    ),
    ...Object.entries(AGGREGATED).map(([name, labels]) =>
      clusterRole(
        name,
        {
          aggregationRule: { clusterRoleSelectors: [{ matchLabels: aggregateTo(name) }] },
          rules: [],
        },
        labels,
      ),
    ),
  ];
}

const user = (name: string): RbacV1Subject => ({ kind: "User", apiGroup: API_GROUP, name });
const group = (name: string): RbacV1Subject => ({ kind: "Group", apiGroup: API_GROUP, name });

const BINDINGS: Record<string, RbacV1Subject[]> = {
  "cluster-admin": [group("system:masters")],
  "system:monitoring": [group("system:monitoring")],
  "system:discovery": [group("system:authenticated")],
  "system:basic-user": [group("system:authenticated")],
  "system:public-info-viewer": [group("system:authenticated"), group("system:unauthenticated")],
  "system:node-proxier": [user("system:kube-proxy")],
  "system:kube-controller-manager": [user("system:kube-controller-manager")],
  "system:kube-dns": [{ kind: "ServiceAccount", namespace: "kube-system", name: "kube-dns" }],
  "system:kube-scheduler": [user("system:kube-scheduler")],
  "system:volume-scheduler": [user("system:kube-scheduler")],
  "system:node": [],
  "system:service-account-issuer-discovery": [group("system:serviceaccounts")],
  "system:bramble-agent": [group("system:nodes")],
};

export function defaultClusterRoleBindings(): ApiObject[] {
  return Object.entries(BINDINGS).map(([name, subjects]) => ({
    apiVersion: `${API_GROUP}/v1`,
    kind: "ClusterRoleBinding",
    metadata: meta(name),
    roleRef: { apiGroup: API_GROUP, kind: "ClusterRole", name },
    ...(subjects.length > 0 && { subjects }),
  }));
}

/** Extension API servers read here how clients prove who they are. */
export function defaultRoles(): ApiObject[] {
  const name = "extension-apiserver-authentication-reader";
  return [
    {
      apiVersion: `${API_GROUP}/v1`,
      kind: "Role",
      metadata: { ...meta(name), namespace: "kube-system" },
      rules: [rule(READ, "core", "configmaps", "extension-apiserver-authentication")],
    } as ApiObject,
  ];
}
