/**
 * Quality of service: class, control groups, CPU shares and OOM score of a pod, as Kubernetes has
 * them.
 */
import { HUGE_PAGES } from "#resources/hugepages.ts";
import { podRequests } from "#resources/podrequests.ts";
import { qosClass } from "#resources/qos.ts";
import { milliValue, quantityValue } from "#resources/quantity.ts";
import type { Container, Pod, PodSpec, ResourceRequirements } from "#resources/types.gen.ts";

/** Under the root of the node's control groups; Guaranteed pods stand beside the two others. */
export function cgroupParent(root: string, spec: PodSpec, uid: string): string {
  const quality = qosClass(spec);
  const below = quality === "Guaranteed" ? "" : `/${quality.toLowerCase()}`;
  return `${root}${below}/pod${uid}`;
}

const SHARES_PER_CPU = 1024;
const SHARES_MIN = 2;
const SHARES_MAX = 262_144;
/** The kernel's period that Kubernetes uses: 100 ms. */
export const CPU_PERIOD_MICROS = 100_000;
const QUOTA_MICROS_MIN = 1_000;

function sharesOf(milliCpu: number): number {
  const shares = Math.floor((milliCpu * SHARES_PER_CPU) / 1000);
  return Math.min(SHARES_MAX, Math.max(SHARES_MIN, shares));
}

export interface ContainerLimits {
  cpuShares: number;
  cpuQuotaMicros?: number;
  memoryLimitBytes?: number;
}

/**
 * What the kernel is told of requests and limits; a limit without a request counts as the request.
 */
export function limitsOf(resources: ResourceRequirements | undefined): ContainerLimits {
  const { limits = {}, requests = {} } = resources ?? {};
  const cpuRequest = requests["cpu"] ?? limits["cpu"];
  const out: ContainerLimits = {
    cpuShares: sharesOf(cpuRequest === undefined ? 0 : milliValue(cpuRequest)),
  };
  const cpuLimit = limits["cpu"];
  if (cpuLimit !== undefined && milliValue(cpuLimit) > 0) {
    const quota = Math.floor((milliValue(cpuLimit) * CPU_PERIOD_MICROS) / 1000);
    out.cpuQuotaMicros = Math.max(QUOTA_MICROS_MIN, quota);
  }
  const memory = limits["memory"];
  if (memory !== undefined && quantityValue(memory) > 0) {
    out.memoryLimitBytes = Math.floor(quantityValue(memory));
  }
  return out;
}

/**
 * Limits of huge pages for every size that the node has, nothing for those that are not asked for
 * (upstream's kubelet does so).
 */
export function hugePageLimitsOf(
  resources: ResourceRequirements | undefined,
  sizes: readonly string[],
): Record<string, number> {
  const wanted = (size: string) => resources?.limits?.[`${HUGE_PAGES}${size}`] ?? "0";
  // runc says 2MB where Kubernetes says 2Mi.
  return Object.fromEntries(
    sizes.map((size) => [size.replace("i", "B"), Math.floor(quantityValue(wanted(size)))]),
  );
}

/**
 * All pods together against the machine's other programs (upstream: node allocatable's cpu). As the
 * kernel has it without, 100 busy pods weigh as much as one program.
 */
export const nodeShares = (cpu: string | undefined): number => sharesOf(milliValue(cpu ?? "1"));

/** Never negative: lowering it needs a capability that containers' hosts may lack. */
export function oomScoreAdj(spec: PodSpec, container: Container, memoryCapacity: number): number {
  const quality = qosClass(spec);
  // Upstream -997; the kernel kills what has the highest score first, and nothing is below 0 here.
  if (quality === "Guaranteed") return 0;
  if (quality === "BestEffort") return 1000;
  const request = container.resources?.requests?.["memory"];
  const bytes = request === undefined ? 0 : quantityValue(request);
  const score = 1000 - Math.floor((1000 * bytes) / Math.max(1, memoryCapacity));
  return Math.min(999, Math.max(3, score));
}

/** Limits of the whole pod: shares by all requests, limits where every container has one. */
export function podLimitsOf(pod: Pod): ContainerLimits {
  const requests = podRequests(pod);
  const spec = pod.spec;
  const out: ContainerLimits = { cpuShares: sharesOf(requests["cpu"] ?? 0) };
  const own = limitsOf(spec?.resources);
  // What the runtime itself takes is not the containers' to spare.
  const overhead = limitsOf({ limits: spec?.overhead ?? {} });
  const all = [
    ...(spec?.containers ?? []),
    ...(spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always"),
  ].map(({ resources }) => limitsOf(resources));
  const inits = (spec?.initContainers ?? []).map(({ resources }) => limitsOf(resources));
  for (const key of ["cpuQuotaMicros", "memoryLimitBytes"] as const) {
    const whole = own[key] ?? together(all, inits, key);
    if (whole !== undefined) out[key] = whole + (overhead[key] ?? 0);
  }
  return out;
}

function together(
  all: readonly ContainerLimits[],
  inits: readonly ContainerLimits[],
  key: "cpuQuotaMicros" | "memoryLimitBytes",
): number | undefined {
  const values = all.map((limits) => limits[key]);
  const initValues = inits.map((limits) => limits[key]);
  if ([...values, ...initValues].some((value) => value === undefined)) return undefined;
  const sum = values.reduce<number>((total, value) => total + (value ?? 0), 0);
  return Math.max(sum, ...initValues.map((value) => value ?? 0));
}

/**
 * CPU shares of the classes: what is asked for in all, and nothing for those who asked for nothing.
 */
export function classShares(pods: readonly Pod[]): { burstable: number; besteffort: number } {
  const burstable = pods.filter(({ spec }) => spec && qosClass(spec) === "Burstable");
  const millis = burstable.reduce((total, pod) => total + (podRequests(pod)["cpu"] ?? 0), 0);
  return { burstable: sharesOf(millis), besteffort: SHARES_MIN };
}
