/**
 * Structured lines on stderr, as text or JSON. pino writes JSON only and costs more than these
 * lines.
 */

import { printable, printableJson } from "#base/printable.ts";

export type Level = "debug" | "info" | "warn" | "error";
export type Fields = Record<string, string | number | boolean | undefined>;

export interface Log {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** A log whose lines all carry the name of a part. */
  part(name: string): Log;
}

const RANK: Record<Level, number> = { debug: 0, info: 1, warn: 2, error: 3 };

export interface LogOptions {
  level: Level;
  format: "text" | "json";
  now: () => number;
  /** One line, and how much it matters. */
  write: (line: string, level: Level) => void;
}

function text(level: Level, message: string, fields: Fields, timeMs: number): string {
  const pairs = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => {
      const plain = String(value);
      const shown = printable(plain);
      return `${key}=${shown !== plain || /[\s"=]/.test(plain) ? printableJson(plain) : plain}`;
    });
  const time = new Date(timeMs).toISOString();
  return [time, level.toUpperCase().padEnd(5), printable(message), ...pairs].join(" ");
}

/** A log that hands over what matters as much as `least`; a part's name is among the fields. */
export function logTo(
  least: Level,
  tell: (level: Level, message: string, fields: Fields) => void,
  bound: Fields = {},
): Log {
  const at =
    (level: Level) =>
    (message: string, fields: Fields = {}) => {
      if (RANK[level] >= RANK[least]) tell(level, message, { ...bound, ...fields });
    };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    part: (name) => logTo(least, tell, { ...bound, part: name }),
  };
}

export function createLog({ level: least, format, now, write }: LogOptions): Log {
  return logTo(least, (level, message, fields) => {
    const line =
      format === "json"
        ? printableJson({ time: new Date(now()).toISOString(), level, message, ...fields })
        : text(level, message, fields, now());
    write(`${line}\n`, level);
  });
}

export const silentLog: Log = createLog({
  level: "error",
  format: "text",
  now: () => 0,
  write: () => {},
});
