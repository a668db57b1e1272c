/** What was promised, and what was measured, as one table. */
import type { Loads } from "#test/bench/apiload.ts";
import type { Idle } from "#test/bench/idle.ts";
import type { Pods } from "#test/bench/podload.ts";
import { median } from "#test/bench/statistics.ts";

export interface Figure {
  readonly what: string;
  /** Undefined: measured only with other flags. */
  readonly value: number | undefined;
  readonly unit: string;
  readonly floor?: number;
  readonly aim?: number;
  /** More is better; else less is. */
  readonly more?: boolean;
  /** The same without a control plane, in the same run. */
  readonly byHand?: number | undefined;
}

export interface Measured {
  readonly ours?: readonly Loads[];
  /** One for each of `ours`, in the same order. */
  readonly peers?: readonly Loads[];
  readonly pods?: Pods;
  readonly idle?: Idle;
  readonly startMs?: readonly number[];
  /** Resident memory of the server right after the load, and once it rested. */
  readonly rss?: { readonly loadedMb: number; readonly restedMb: number };
  readonly durability?: { rounds: number; acknowledged: number; lost: number };
}

type Pick = "perSecond" | "p50Ms" | "p99Ms";

/** The middle of the rounds' ratios: how many times as fast as the peer. */
export function timesAsFast(measured: Measured, op: string, pick: Pick): number | undefined {
  const { ours = [], peers = [] } = measured;
  const ratios = peers.flatMap((peer, at) => {
    const [mine, theirs] = [ours[at]?.[op]?.[pick], peer[op]?.[pick]];
    if (mine === undefined || theirs === undefined) return [];
    return pick === "perSecond" ? mine / theirs : theirs / mine;
  });
  return ratios.length === 0 ? undefined : median(ratios);
}

const RATIOS: ReadonlyArray<[string, string, Pick, number, number]> = [
  ["creates a second", "create", "perSecond", 3.5, 6],
  ["gets a second", "get", "perSecond", 5, 10],
  ["updates a second", "put", "perSecond", 4, 8],
  ["merge patches a second", "merge-patch", "perSecond", 4, 9],
  ["deletes a second", "delete", "perSecond", 5, 8],
  ["creates of pods a second", "create-pods", "perSecond", 5, 10],
  ["list by selector, p50", "list-selector", "p50Ms", 2.5, 4.2],
  ["list of 5,000 pods, p50", "list-pods", "p50Ms", 6, 9],
  ["page of 500 pods, p50", "list-pods-page500", "p50Ms", 4, 7],
  ["fan-out to 500 watchers, p50", "watch-fanout-500", "p50Ms", 1.3, 1.6],
  ["fan-out to 500 watchers, p99", "watch-fanout-500", "p99Ms", 1, 1.6],
];

export function figuresOf(measured: Measured): Figure[] {
  const { pods, idle, startMs, rss, durability } = measured;
  return [
    ...RATIOS.map(([what, op, pick, floor, aim]) => ({
      what: `${what}, over Kubernetes`,
      value: timesAsFast(measured, op, pick),
      unit: "x",
      floor,
      aim,
      more: true,
    })),
    {
      what: "pod create to Ready, p50, over nerdctl run -d",
      value: pods?.ratio,
      unit: "x",
      floor: 1.2,
      aim: 0.7,
    },
    {
      what: "start to /readyz, empty data-dir",
      value: startMs && median(startMs) / 1000,
      unit: "s",
      floor: 1.5,
      aim: 0.5,
    },
    { what: "idle PSS, 10 pods", value: idle?.pssMb, unit: "MB", floor: 120, aim: 80 },
    {
      what: "idle writes to the disk, 10 pods",
      value: idle?.writtenMbPerDay,
      unit: "MB/day",
      floor: 100,
      aim: 20,
    },
    { what: "RSS after the load", value: rss?.loadedMb, unit: "MB", floor: 200 },
    { what: "RSS two minutes later", value: rss?.restedMb, unit: "MB", floor: 140 },
    {
      what: `writes lost in ${durability?.rounds ?? 0} kill -9`,
      value: durability?.lost,
      unit: "",
      floor: 0,
      aim: 0,
    },
  ];
}

export function verdict({ value, floor, aim, more = false }: Figure): string {
  if (value === undefined) return "not measured";
  if (floor === undefined && aim === undefined) return "";
  const reaches = (goal: number) => (more ? value >= goal : value <= goal);
  if (aim !== undefined && reaches(aim)) return "aim";
  if (floor !== undefined && reaches(floor)) return "floor";
  return "MISSED";
}

const shown = (value: number | undefined, unit = ""): string => {
  if (value === undefined) return "-";
  const text = Number.isInteger(value) ? String(value) : value.toFixed(value < 10 ? 2 : 1);
  return unit === "" || unit === "x" ? `${text}${unit}` : `${text} ${unit}`;
};

function columns(rows: readonly string[][]): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((r) => r[at]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** With a column for what was done by hand where something was. */
export function figuresTable(figures: readonly Figure[]): string {
  const hand = figures.some(({ byHand }) => byHand !== undefined);
  return columns([
    ["figure", "measured", ...(hand ? ["by hand"] : []), "floor", "aim", "reached"],
    ...figures.map((figure) => [
      figure.what,
      shown(figure.value, figure.unit),
      ...(hand ? [shown(figure.byHand, figure.unit)] : []),
      shown(figure.floor),
      shown(figure.aim),
      verdict(figure),
    ]),
  ]);
}

/** Every operation of apibench: medians of the rounds, beside the peer's where there is one. */
export function loadsTable(measured: Measured): string {
  const { ours = [], peers = [] } = measured;
  const middle = (loads: readonly Loads[], op: string, pick: Pick) => {
    const found = loads.flatMap((load) => load[op]?.[pick] ?? []);
    return found.length === 0 ? undefined : median(found);
  };
  const rate = (value: number | undefined) => (value === undefined ? "-" : value.toFixed(0));
  const heads = ["operation", "a second", "p50 ms"];
  const more = peers.length > 0 ? ["Kubernetes", "p50 ms", "ratio", "p50 ratio"] : [];
  return columns([
    [...heads, ...more],
    ...Object.keys(ours[0] ?? {}).map((op) => [
      op,
      rate(middle(ours, op, "perSecond")),
      shown(middle(ours, op, "p50Ms")),
      ...(peers.length === 0
        ? []
        : [
            rate(middle(peers, op, "perSecond")),
            shown(middle(peers, op, "p50Ms")),
            shown(timesAsFast(measured, op, "perSecond"), "x"),
            shown(timesAsFast(measured, op, "p50Ms"), "x"),
          ]),
    ]),
  ]);
}
