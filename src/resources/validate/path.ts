/** Paths inside volumes and of files in them. */
import { type Cause, invalid } from "#resources/field.ts";

const MODE_MAX = 0o777;

export const noBacksteps = (path: string, field: string): Cause[] =>
  path.split("/").includes("..") ? [invalid(field, path, "must not contain '..'")] : [];

const hasControls = (text: string): boolean =>
  [...text].some((character) => character < " " || character === "\x7f");

/** NUL ends a string in the kernel. A line break ends a record in line-based formats. */
export const noControls = (path: string | undefined, field: string): Cause[] =>
  path !== undefined && hasControls(path)
    ? [invalid(field, path, "must not contain control characters")]
    : [];

/** Stays below where it starts. */
export function relativePath(path: string | undefined, field: string): Cause[] {
  if (!path) return [];
  const causes = path.startsWith("/") ? [invalid(field, path, "must be a relative path")] : [];
  return [...causes, ...noBacksteps(path, field), ...noControls(path, field)];
}

/** Also not where the agent writes its own files (`..data`). */
export function ownPath(path: string | undefined, field: string): Cause[] {
  const causes = relativePath(path, field);
  if (path?.startsWith("..") && path !== ".." && !path.startsWith("../")) {
    causes.push(invalid(field, path, "must not start with '..'"));
  }
  return causes;
}

export const fileMode = (mode: number | undefined, field: string): Cause[] =>
  mode !== undefined && (mode < 0 || mode > MODE_MAX)
    ? [invalid(field, mode, "must be a number between 0 and 0777 (octal), both inclusive")]
    : [];
