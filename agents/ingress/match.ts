/** The route of one request. Host first, then the longest path; defaults come last of all. */

import type { Paths, Route, Table } from "#agents/ingress/plan.ts";
import { HeadError } from "#base/httphead.ts";
import { percentDecoded } from "#base/percent.ts";

/**
 * As the rules see it: without the query, decoded, without `.` and `..`. @throws HeadError 400 for
 * a path that an endpoint may read as one of another rule.
 */
export function pathOf(target: string): string {
  const query = target.indexOf("?");
  const path = query < 0 ? target : target.slice(0, query);
  return path.includes("%") || path.includes("/.") || path.includes("\\") ? plain(path) : path;
}

/** Bytes that are no UTF-8 stay as they are; what ASCII has is decoded all the same. */
function decoded(path: string): string {
  const ascii = (_: string, hex: string): string => String.fromCharCode(Number.parseInt(hex, 16));
  return percentDecoded(path) ?? path.replace(/%([0-7][0-9a-f])/gi, ascii);
}

/** Some servers take these for `..`: with parameters behind it, or with a backslash beside it. */
const DOTS_OF_SOME = /^\.\.?;|(?:^|\\)\.\.(?:\\|$)/;

function plain(path: string): string {
  const out: string[] = [];
  const parts = decoded(path).split("/");
  for (const part of parts.slice(1)) {
    if (part === "..") {
      // Where `//` counts as `/`, this leads one step further up.
      if (out.pop() === "") throw new HeadError(400, "ambiguous path");
    } else if (DOTS_OF_SOME.test(part)) {
      throw new HeadError(400, "ambiguous path");
    } else if (part !== ".") {
      out.push(part);
    }
  }
  const last = parts.at(-1);
  const isFolder = last === "." || last === "..";
  return `/${out.join("/")}${isFolder && out.length > 0 ? "/" : ""}`;
}

/** Element by element: `/foo` has `/foo`, `/foo/` and `/foo/bar`, never `/foobar`. */
function isUnder(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false;
  return path.length === prefix.length || path[prefix.length] === "/";
}

function find(paths: Paths | undefined, path: string): Route | undefined {
  if (paths === undefined) return undefined;
  const exact = paths.exact.get(path);
  if (exact !== undefined) return exact;
  for (const one of paths.prefixes) if (isUnder(path, one.path)) return one.route;
  return undefined;
}

export function match(table: Table, host: string, path: string): Route | undefined {
  const own = table.hosts.get(host);
  const dot = host.indexOf(".");
  const wild =
    dot > 0 && table.wildcards.size > 0 ? table.wildcards.get(host.slice(dot + 1)) : undefined;
  return (
    find(own, path) ??
    find(wild, path) ??
    find(table.any, path) ??
    own?.fallback ??
    wild?.fallback ??
    table.any?.fallback ??
    table.fallback
  );
}
