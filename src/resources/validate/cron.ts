/** Schedules as CronJobs take them: five fields or a descriptor (robfig/cron, standard parser). */

interface Field {
  min: number;
  max: number;
  names?: readonly string[];
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const FIELDS: readonly Field[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12, names: MONTHS },
  { min: 0, max: 6, names: DAYS },
];
const DESCRIPTORS = [
  "@yearly",
  "@annually",
  "@monthly",
  "@weekly",
  "@daily",
  "@midnight",
  "@hourly",
];
const EVERY = /^@every ([0-9.]+(ns|us|µs|ms|s|m|h))+$/;

function numberOf(text: string, field: Field): number | undefined {
  const name = field.names?.indexOf(text.toLowerCase()) ?? -1;
  if (name >= 0) return field.min + name;
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

/** `*`, `?`, `5`, `1-5`, each perhaps with `/step`. */
function rangeError(range: string, field: Field): string | undefined {
  const [span = "", step, ...more] = range.split("/");
  if (more.length > 0) return `too many slashes: ${range}`;
  if (step !== undefined) {
    if (!/^\d+$/.test(step)) return `failed to parse int from ${step}: ${range}`;
    if (Number(step) === 0) return `step of range should be a positive number: ${range}`;
  }
  if (span === "*" || span === "?") return undefined;
  const ends = span.split("-");
  if (ends.length > 2) return `too many hyphens: ${range}`;
  const numbers = ends.map((end) => numberOf(end, field));
  const bad = ends[numbers.indexOf(undefined)];
  if (bad !== undefined) return `failed to parse int from ${bad}: ${range}`;
  const start = numbers[0] ?? 0;
  const end = numbers[1] ?? (step === undefined ? start : field.max);
  if (start < field.min)
    return `beginning of range (${start}) below minimum (${field.min}): ${range}`;
  if (end > field.max) return `end of range (${end}) above maximum (${field.max}): ${range}`;
  if (start > end) return `beginning of range (${start}) beyond end of range (${end}): ${range}`;
  return undefined;
}

/** What is wrong with a schedule; undefined for nothing. */
export function scheduleError(schedule: string): string | undefined {
  const text = schedule.replace(/^(CRON_)?TZ=\S+\s+/, "");
  if (text.startsWith("@")) {
    if (DESCRIPTORS.includes(text) || EVERY.test(text)) return undefined;
    return `unrecognized descriptor: ${text}`;
  }
  const parts = text.trim().split(/\s+/);
  if (parts.length !== FIELDS.length) {
    return `expected exactly 5 fields, found ${parts.length}: [${parts.join(" ")}]`;
  }
  for (const [index, field] of FIELDS.entries()) {
    for (const range of (parts[index] ?? "").split(",")) {
      const error = rangeError(range, field);
      if (error !== undefined) return error;
    }
  }
  return undefined;
}
