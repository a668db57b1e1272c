/** What `kubectl get pods` says of a pod: one word for the state of all its containers. */
import { age, ageColumn, nameColumn } from "#resources/columns/text.ts";
import type { Column } from "#resources/kind.ts";
import type {
  ContainerStateTerminated,
  ContainerStatus,
  Pod,
  PodCondition,
} from "#resources/types.gen.ts";

interface Summary {
  ready: number;
  total: number;
  status: string;
  restarts: number;
  /** When a container last ended before it was started again. */
  restartedAt: string;
}

const UNREACHABLE = "NodeLost";

function condition(pod: Pod, type: string): PodCondition | undefined {
  return pod.status?.conditions?.find((each) => each.type === type);
}

const isTrue = (pod: Pod, type: string): boolean => condition(pod, type)?.status === "True";

function ended(terminated: ContainerStateTerminated): string {
  if (terminated.reason) return terminated.reason;
  return terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode ?? 0}`;
}

/** RFC 3339 times of one precision sort as text. */
const later = (a: string, b: string | undefined): string => (b !== undefined && b > a ? b : a);

const lastEnd = (status: ContainerStatus): string | undefined =>
  status.lastState?.terminated?.finishedAt;

/** Sidecars: init containers that go on running (KEP-753). */
const sidecars = (pod: Pod): ReadonlySet<string> =>
  new Set(
    (pod.spec?.initContainers ?? [])
      .filter((container) => container.restartPolicy === "Always")
      .map((container) => container.name),
  );

/** The word for the first init container that has not done its part; undefined when all have. */
function initState(pod: Pod, status: ContainerStatus, index: number): string {
  const { terminated, waiting } = status.state ?? {};
  if (terminated) return `Init:${ended(terminated)}`;
  if (waiting?.reason && waiting.reason !== "PodInitializing") return `Init:${waiting.reason}`;
  return `Init:${index}/${pod.spec?.initContainers?.length ?? 0}`;
}

/** Counts init containers; says whether one still holds the pod up. */
function addInit(pod: Pod, summary: Summary, sidecarTotals: Summary): boolean {
  const restartable = sidecars(pod);
  summary.total += restartable.size;
  for (const [index, status] of (pod.status?.initContainerStatuses ?? []).entries()) {
    const sidecar = restartable.has(status.name);
    for (const totals of sidecar ? [summary, sidecarTotals] : [summary]) {
      totals.restarts += status.restartCount ?? 0;
      totals.restartedAt = later(totals.restartedAt, lastEnd(status));
    }
    const { terminated } = status.state ?? {};
    if (terminated && (terminated.exitCode ?? 0) === 0) continue;
    if (sidecar && status.started === true) {
      if (status.ready) summary.ready += 1;
      continue;
    }
    summary.status = initState(pod, status, index);
    return true;
  }
  return false;
}

function addContainers(pod: Pod, summary: Summary): void {
  let running = false;
  for (const status of [...(pod.status?.containerStatuses ?? [])].reverse()) {
    summary.restarts += status.restartCount ?? 0;
    summary.restartedAt = later(summary.restartedAt, lastEnd(status));
    const { waiting, terminated } = status.state ?? {};
    if (waiting?.reason) summary.status = waiting.reason;
    else if (terminated) summary.status = ended(terminated);
    else if (status.ready && status.state?.running) {
      running = true;
      summary.ready += 1;
    }
  }
  if (summary.status === "Completed" && running) {
    summary.status = isTrue(pod, "Ready") ? "Running" : "NotReady";
  }
}

function firstWord(pod: Pod): string {
  const gated = pod.status?.conditions?.some(
    (each) => each.type === "PodScheduled" && each.reason === "SchedulingGated",
  );
  if (gated) return "SchedulingGated";
  return pod.status?.reason || pod.status?.phase || "";
}

export function podSummary(pod: Pod): Summary {
  const blank = { ready: 0, restarts: 0, restartedAt: "" };
  const summary = { ...blank, total: pod.spec?.containers?.length ?? 0, status: firstWord(pod) };
  const sidecarTotals: Summary = { ...summary, ...blank };
  const initializing = addInit(pod, summary, sidecarTotals);
  if (!initializing || isTrue(pod, "Initialized")) {
    summary.restarts = sidecarTotals.restarts;
    summary.restartedAt = sidecarTotals.restartedAt;
    addContainers(pod, summary);
  }
  if (pod.metadata?.deletionTimestamp) {
    const phase = pod.status?.phase;
    if (pod.status?.reason === UNREACHABLE) summary.status = "Unknown";
    else if (phase !== "Succeeded" && phase !== "Failed") summary.status = "Terminating";
  }
  return summary;
}

function restarts(pod: Pod, now: number): string {
  const summary = podSummary(pod);
  if (summary.restarts === 0 || summary.restartedAt === "") return String(summary.restarts);
  return `${summary.restarts} (${age(summary.restartedAt, now)} ago)`;
}

function readinessGates(pod: Pod): string {
  const gates = pod.spec?.readinessGates ?? [];
  if (gates.length === 0) return "<none>";
  return `${gates.filter((gate) => isTrue(pod, gate.conditionType)).length}/${gates.length}`;
}

function ready(pod: Pod): string {
  const summary = podSummary(pod);
  return `${summary.ready}/${summary.total}`;
}

/** The first of its addresses: the older field goes first where the two differ. */
export const podIp = ({ status }: Pod): string => status?.podIP || (status?.podIPs?.[0]?.ip ?? "");

export const podColumns: Column<Pod>[] = [
  nameColumn,
  { name: "Ready", cell: ready },
  { name: "Status", cell: (pod) => podSummary(pod).status },
  { name: "Restarts", cell: restarts },
  ageColumn,
  { name: "IP", priority: 1, cell: (pod) => podIp(pod) || "<none>" },
  { name: "Node", priority: 1, cell: (pod) => pod.spec?.nodeName || "<none>" },
  {
    name: "Nominated Node",
    priority: 1,
    cell: (pod) => pod.status?.nominatedNodeName || "<none>",
  },
  { name: "Readiness Gates", priority: 1, cell: readinessGates },
];
