import { describe, expect, test } from "bun:test";
import { humanDuration } from "#resources/columns/text.ts";
import { certificateSigningRequests } from "#resources/kinds/certificatesigningrequest.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { horizontalPodAutoscalersV1 } from "#resources/kinds/horizontalpodautoscalerv1.ts";
import { pods } from "#resources/kinds/pod.ts";
import type { ApiObject } from "#resources/meta.ts";
import type { AutoscalingV2HorizontalPodAutoscaler, Pod } from "#resources/types.gen.ts";
import { scheduleError } from "#resources/validate/cron.ts";
import { kindOf, objects } from "./kinds.cases.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NOW = Date.parse("2024-01-01T00:00:00Z");

describe("durations", () => {
  test.each([
    [-2 * SECOND, "<invalid>"],
    [-SECOND, "0s"],
    [0, "0s"],
    [119 * SECOND, "119s"],
    [2 * MINUTE, "2m"],
    [200 * SECOND, "3m20s"],
    [10 * MINUTE + SECOND, "10m"],
    [3 * HOUR, "3h"],
    [7 * HOUR + 5 * MINUTE, "7h5m"],
    [47 * HOUR, "47h"],
    [2 * DAY, "2d"],
    [7 * DAY + 5 * HOUR, "7d5h"],
    [8 * DAY + 5 * HOUR, "8d"],
    [730 * DAY, "2y"],
    [731 * DAY, "2y1d"],
    [3000 * DAY, "8y"],
  ])("%i ms are %s", (duration, words) => {
    expect(humanDuration(duration)).toBe(words);
  });
});

describe("a pod in a table", () => {
  const ago = (ms: number) => new Date(NOW - ms).toISOString();
  const waiting = { name: "a", ready: false, restartCount: 0 };
  const rows: Array<[string, NonNullable<Pod["status"]>, [string, string, string]]> = [
    ["that waits", { phase: "Pending" }, ["0/1", "Pending", "0"]],
    [
      "that crashes",
      {
        phase: "Running",
        containerStatuses: [
          {
            ...waiting,
            restartCount: 1,
            state: { waiting: { reason: "CrashLoopBackOff" } },
            lastState: { terminated: { exitCode: 1, finishedAt: ago(5 * SECOND) } },
          } as never,
        ],
      },
      ["0/1", "CrashLoopBackOff", "1 (5s ago)"],
    ],
    [
      "that has ended",
      {
        phase: "Succeeded",
        containerStatuses: [
          { ...waiting, state: { terminated: { exitCode: 0, reason: "Completed" } } } as never,
        ],
      },
      ["0/1", "Completed", "0"],
    ],
  ];
  test.each(rows)("%s", (_, status, words) => {
    const pod: Pod = { spec: { containers: [{ name: "a" }] }, status } as Pod;
    const row = pods.columns.slice(1, 4).map((column) => column.cell(pod, NOW));
    expect(row).toEqual(words);
  });
});

test("schedules are read in five fields", () => {
  expect(scheduleError("*/5 0-3 1,15 * MON-FRI")).toBeUndefined();
  expect(scheduleError("@hourly")).toBeUndefined();
  expect(scheduleError("* * * *")).toContain("expected exactly 5 fields");
  expect(scheduleError("61 * * * *")).toContain("above maximum");
});

test("an immutable config map keeps its data", () => {
  const old = { metadata: { name: "a" }, immutable: true, data: { a: "1" } };
  const causes = configMaps.validate({ ...old, data: { a: "2" } }, old, "");
  expect(causes.map(({ field, message }) => `${field}: ${message}`)).toEqual([
    "data: Forbidden: field is immutable when `immutable` is set",
  ]);
});

test("who asks for a certificate is who sends the request, whatever it says", () => {
  const request = { metadata: { name: "a" }, spec: { username: "system:admin" } } as never;
  certificateSigningRequests.prepare(request, undefined, { name: "ann", groups: ["devs"] });
  expect(request).toMatchObject({ spec: { username: "ann", groups: ["devs"] } });
});

test("defaults of every object come once", () => {
  for (const object of objects.values()) {
    const once = structuredClone(object);
    kindOf(once).defaults(once);
    const twice = structuredClone(once);
    kindOf(twice).defaults(twice);
    expect(twice).toEqual(once);
  }
});

test("an autoscaler goes through the older version and back whole", () => {
  const { storedAs } = horizontalPodAutoscalersV1;
  const made = objects.get("autoscaling/v2 HorizontalPodAutoscaler rich") as ApiObject;
  const old = storedAs?.fromStored(structuredClone(made));
  expect(old?.metadata?.annotations).toBeDefined();
  const { spec, ...others } = made as AutoscalingV2HorizontalPodAutoscaler;
  // The one metric that the older version knows comes back last.
  const [cpu, ...metrics] = spec?.metrics ?? [];
  expect(old && storedAs?.toStored(old)).toEqual({
    ...others,
    spec: { ...spec, metrics: [...metrics, cpu] },
  } as ApiObject);
});
