/** Gives each node a part of the cluster's range for its pods, never one twice. */
import { addressText, addressValue } from "#base/cidr.ts";
import type { Action, Plan } from "#client/controller.ts";
import { refOf } from "#controllers/common/patch.ts";
import { nodes as nodeKind } from "#resources/kinds/node.ts";
import type { Stored } from "#resources/meta.ts";
import type { Node } from "#resources/types.gen.ts";

export interface State {
  nodes: ReadonlyArray<Stored<Node>>;
  /** `10.42.0.0/16`; two with a comma for dual-stack. */
  clusterCidr: string;
  /** Bits of each node's IPv4 prefix: 24. */
  nodeBits: number;
}

/** Of each node's IPv6 prefix, as upstream has it by default. */
const NODE_BITS_V6 = 64;

interface Range {
  v6: boolean;
  first: bigint;
  /** Of the prefix. */
  bits: number;
}

const widthOf = (v6: boolean): number => (v6 ? 128 : 32);
const sizeOf = ({ v6, bits }: Range): bigint => 1n << BigInt(widthOf(v6) - bits);

function parse(cidr: string): Range | undefined {
  const [ip = "", length = ""] = cidr.split("/");
  const value = addressValue(ip);
  if (value === undefined || !/^\d+$/.test(length)) return undefined;
  const range = { v6: ip.includes(":"), first: 0n, bits: Number(length) };
  const size = sizeOf(range);
  return { ...range, first: (value / size) * size };
}

const overlaps = (a: Range, b: Range): boolean =>
  a.v6 === b.v6 && a.first < b.first + sizeOf(b) && b.first < a.first + sizeOf(a);

/** Read once for each state of a node: many join together, and each looks at all. */
const known = new WeakMap<Stored<Node>, readonly Range[]>();

function rangesOf(node: Stored<Node>): readonly Range[] {
  let ranges = known.get(node);
  if (ranges === undefined) {
    const cidrs = new Set([node.spec?.podCIDR ?? "", ...(node.spec?.podCIDRs ?? [])]);
    ranges = [...cidrs].flatMap((cidr) => parse(cidr) ?? []);
    known.set(node, ranges);
  }
  return ranges;
}

/** Ranges for nodes in one range of the cluster, the lowest first. */
function* free(cidr: string, nodeBits: number, taken: readonly Range[]): Generator<string> {
  const all = parse(cidr);
  if (all === undefined) return;
  const bits = all.v6 ? Math.max(NODE_BITS_V6, all.bits) : nodeBits;
  const same = taken.filter(({ v6 }) => v6 === all.v6);
  const used = new Set(same.filter((range) => range.bits === bits).map(({ first }) => first));
  const odd = same.filter((range) => range.bits !== bits);
  const step = 1n << BigInt(widthOf(all.v6) - bits);
  for (let first = all.first; first < all.first + sizeOf(all); first += step) {
    const range = { v6: all.v6, first, bits };
    if (used.has(first) || odd.some((other) => overlaps(other, range))) continue;
    yield `${addressText(first, all.v6)}/${bits}`;
  }
}

/** The next range of each family; undefined where one has none left. */
function next(families: ReadonlyArray<Generator<string>>): string[] | undefined {
  const cidrs = families.flatMap((each) => each.next().value ?? []);
  return cidrs.length === families.length ? cidrs : undefined;
}

export function plan(state: State): Plan {
  const waiting = state.nodes.filter(
    (node) => !node.spec?.podCIDR && node.metadata.deletionTimestamp === undefined,
  );
  if (waiting.length === 0) return { actions: [] };
  const taken = state.nodes.flatMap(rangesOf);
  const families = state.clusterCidr.split(",").map((cidr) => free(cidr, state.nodeBits, taken));
  const actions = waiting.map((node): Action => {
    const podCIDRs = next(families);
    if (podCIDRs === undefined) {
      const message = `Node ${node.metadata.name} status is now: CIDRNotAvailable`;
      const reason = "CIDRNotAvailable";
      return { do: "event", about: node, type: "Warning", reason, message };
    }
    const { uid, resourceVersion } = node.metadata;
    return {
      do: "patch",
      kind: nodeKind,
      ref: refOf(node),
      type: "merge",
      body: { metadata: { uid, resourceVersion }, spec: { podCIDR: podCIDRs[0] ?? "", podCIDRs } },
    };
  });
  return { actions };
}
