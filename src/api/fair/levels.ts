/**
 * The levels of priority and the rules that sort requests into them, as upstream's defaults have
 * them, and how many requests of each level may be under way.
 * https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
 */
import type { FlowSchema, PriorityLevelConfiguration } from "#resources/types.gen.ts";

export const GROUP_VERSION = "flowcontrol.apiserver.k8s.io/v1";
export const EXEMPT = "exempt";
export const CATCH_ALL = "catch-all";

type Stanza = [shares: number, lendable: number, queues: number, hand: number, length: number];

/** Upstream's suggested levels: shares, percent that others may borrow, and their queues. */
const LIMITED: Record<string, Stanza> = {
  "node-high": [40, 25, 64, 6, 50],
  system: [30, 33, 64, 6, 50],
  "leader-election": [10, 0, 16, 4, 50],
  "workload-high": [40, 50, 128, 6, 50],
  "workload-low": [100, 90, 128, 6, 50],
  "global-default": [20, 50, 128, 6, 50],
};

export function defaultLevels(): PriorityLevelConfiguration[] {
  const object = (name: string, spec: PriorityLevelConfiguration["spec"]) => ({
    apiVersion: GROUP_VERSION,
    kind: "PriorityLevelConfiguration",
    metadata: { name },
    ...(spec !== undefined && { spec }),
  });
  const exempt = { nominalConcurrencyShares: 0, lendablePercent: 0 };
  const rejecting = {
    nominalConcurrencyShares: 5,
    lendablePercent: 0,
    limitResponse: { type: "Reject" },
  };
  return [
    object(EXEMPT, { type: "Exempt", exempt }),
    object(CATCH_ALL, { type: "Limited", limited: rejecting }),
    ...Object.entries(LIMITED).map(([name, [shares, lendable, queues, handSize, length]]) =>
      object(name, {
        type: "Limited",
        limited: {
          nominalConcurrencyShares: shares,
          lendablePercent: lendable,
          limitResponse: {
            type: "Queue",
            queuing: { queues, handSize, queueLengthLimit: length },
          },
        },
      }),
    ),
  ];
}

type Rules = NonNullable<NonNullable<FlowSchema["spec"]>["rules"]>[number];
const group = (name: string) => ({ kind: "Group", group: { name } });
const user = (name: string) => ({ kind: "User", user: { name } });
const account = (namespace: string, name: string) => ({
  kind: "ServiceAccount",
  serviceAccount: { namespace, name },
});
const ALL = ["*"];
const everything = (...subjects: Rules["subjects"]): Rules => ({
  subjects,
  resourceRules: [
    { verbs: ALL, apiGroups: ALL, resources: ALL, clusterScope: true, namespaces: ALL },
  ],
  nonResourceRules: [{ verbs: ALL, nonResourceURLs: ALL }],
});
const leases = (...subjects: Rules["subjects"]): Rules => ({
  subjects,
  resourceRules: [
    {
      verbs: ["get", "create", "update"],
      apiGroups: ["coordination.k8s.io"],
      resources: ["leases"],
      namespaces: ALL,
    },
  ],
});
const probes: Rules = {
  subjects: [group("system:unauthenticated"), group("system:authenticated")],
  nonResourceRules: [{ verbs: ["get"], nonResourceURLs: ["/healthz", "/livez", "/readyz"] }],
};

/** Name, precedence, level, what tells flows apart, rules. */
const SCHEMAS: Array<[string, number, string, "ByUser" | "ByNamespace" | undefined, Rules]> = [
  ["exempt", 1, EXEMPT, undefined, everything(group("system:masters"))],
  ["probes", 2, EXEMPT, undefined, probes],
  [
    "system-leader-election",
    100,
    "leader-election",
    "ByUser",
    leases(
      user("system:kube-controller-manager"),
      user("system:kube-scheduler"),
      account("kube-system", "*"),
    ),
  ],
  ["system-node-high", 400, "node-high", "ByUser", nodeRules()],
  ["system-nodes", 500, "system", "ByUser", everything(group("system:nodes"))],
  [
    "kube-controller-manager",
    800,
    "workload-high",
    "ByNamespace",
    everything(user("system:kube-controller-manager")),
  ],
  [
    "kube-scheduler",
    800,
    "workload-high",
    "ByNamespace",
    everything(user("system:kube-scheduler")),
  ],
  [
    "kube-system-service-accounts",
    900,
    "workload-high",
    "ByNamespace",
    everything(account("kube-system", "*")),
  ],
  ["service-accounts", 9000, "workload-low", "ByUser", everything(group("system:serviceaccounts"))],
  [
    "global-default",
    9900,
    "global-default",
    "ByUser",
    everything(group("system:unauthenticated"), group("system:authenticated")),
  ],
  [
    "catch-all",
    10_000,
    CATCH_ALL,
    "ByUser",
    everything(group("system:unauthenticated"), group("system:authenticated")),
  ],
];

/** What a node may not be late with: its own object and its Lease. */
function nodeRules(): Rules {
  const verbs = ["*"];
  return {
    subjects: [group("system:nodes")],
    resourceRules: [
      { verbs, apiGroups: [""], resources: ["nodes", "nodes/status"], clusterScope: true },
      { verbs, apiGroups: ["coordination.k8s.io"], resources: ["leases"], namespaces: ALL },
    ],
  };
}

export function defaultSchemas(): FlowSchema[] {
  return SCHEMAS.map(([name, matchingPrecedence, level, type, rules]) => ({
    apiVersion: GROUP_VERSION,
    kind: "FlowSchema",
    metadata: { name },
    spec: {
      matchingPrecedence,
      priorityLevelConfiguration: { name: level },
      ...(type !== undefined && { distinguisherMethod: { type } }),
      rules: [rules],
    },
  }));
}

/** One level as the queues use it. */
export interface LevelPlan {
  readonly name: string;
  readonly exempt: boolean;
  /** Requests that may always be under way. */
  readonly seats: number;
  /** Of them so many are lent while nobody here needs them. */
  readonly lendable: number;
  /** With borrowed ones at most. */
  readonly seatsMax: number;
  /** Requests of one flow, and of all, that may wait; 0: none does. */
  readonly flowLengthMax: number;
  readonly waitingMax: number;
}

const positive = (value: number | undefined, otherwise: number): number => value ?? otherwise;

/** Shares of all seats, rounded up as upstream does. */
export function planLevels(
  levels: readonly PriorityLevelConfiguration[],
  seatsTotal: number,
): LevelPlan[] {
  const sharesOf = ({ spec }: PriorityLevelConfiguration): number =>
    positive(spec?.limited?.nominalConcurrencyShares ?? spec?.exempt?.nominalConcurrencyShares, 0);
  const sum = Math.max(
    levels.reduce((total, level) => total + sharesOf(level), 0),
    1,
  );
  return levels.map((level) => {
    const { spec } = level;
    const seats = Math.ceil((seatsTotal * sharesOf(level)) / sum);
    const limited = spec?.limited;
    const lendable = Math.round((seats * positive(limited?.lendablePercent, 0)) / 100);
    const borrowing = limited?.borrowingLimitPercent;
    const queuing =
      limited?.limitResponse?.type === "Queue" ? limited.limitResponse.queuing : undefined;
    const flowLengthMax = positive(queuing?.queueLengthLimit, 0);
    return {
      name: level.metadata?.name ?? "",
      exempt: spec?.type === "Exempt",
      seats,
      lendable,
      seatsMax: borrowing === undefined ? seatsTotal : Math.ceil(seats * (1 + borrowing / 100)),
      flowLengthMax,
      waitingMax: flowLengthMax * positive(queuing?.queues, 0),
    };
  });
}
