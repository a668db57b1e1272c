/**
 * Huge pages as Kubernetes names them: `hugepages-2Mi` in resources, `HugePages-2Mi` as the medium
 * of an emptyDir. Pure.
 * https://kubernetes.io/docs/tasks/manage-hugepages/scheduling-hugepages/
 */
import { quantityValue } from "#resources/quantity.ts";
import type { PodSpec } from "#resources/types.gen.ts";

export const HUGE_PAGES = "hugepages-";
const MEDIUM = "HugePages";

const UNITS = ["Ki", "Mi", "Gi"] as const;

/** `2Mi` for the kernel's 2048 kB: the largest unit that divides it. */
export function pageSizeName(kib: number): string {
  const power = kib % 1024 ** 2 === 0 ? 2 : kib % 1024 === 0 ? 1 : 0;
  return `${kib / 1024 ** power}${UNITS[power]}`;
}

/** Sizes that containers of the pod ask for. */
export function pageSizesOf(spec: PodSpec): string[] {
  const all = [
    spec.resources,
    ...[...(spec.initContainers ?? []), ...spec.containers].map(({ resources }) => resources),
  ];
  const names = all.flatMap((each) => Object.keys({ ...each?.requests, ...each?.limits }));
  const sizes = names.filter((name) => name.startsWith(HUGE_PAGES));
  return [...new Set(sizes.map((name) => name.slice(HUGE_PAGES.length)))];
}

/**
 * The page size of an emptyDir's medium in bytes; undefined for another medium.
 * @throws Error where the pod asks for no pages of that size, or for more than one size.
 */
export function mediumPageBytes(medium: string, spec: PodSpec): number | undefined {
  if (medium !== MEDIUM && !medium.startsWith(`${MEDIUM}-`)) return undefined;
  const sizes = pageSizesOf(spec);
  const wanted = medium.slice(MEDIUM.length + 1);
  if (wanted === "") {
    const [size] = sizes;
    if (size !== undefined && sizes.length === 1) return quantityValue(size);
    const many = sizes.length === 0 ? "no" : "more than one";
    throw new Error(`medium ${MEDIUM} needs containers with one page size, there is ${many}`);
  }
  const bytes = quantityValue(wanted);
  if (sizes.some((size) => quantityValue(size) === bytes)) return bytes;
  throw new Error(`medium ${medium}: no container asks for ${HUGE_PAGES}${wanted}`);
}
