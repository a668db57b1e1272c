/** The route of one request. Host first, then the longest path; defaults come last of all. */
import type { Paths, Route, Table } from "#agents/ingress/plan.ts";

/** As the rules see it: without the query, decoded, without `.` and `..`. */
export function pathOf(target: string): string {
  const query = target.indexOf("?");
  const path = query < 0 ? target : target.slice(0, query);
  return path.includes("%") || path.includes("/.") ? plain(path) : path;
}

function plain(path: string): string {
  let decoded = path;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    // Not UTF-8: compared as it was sent.
  }
  const out: string[] = [];
  const parts = decoded.split("/");
  for (const part of parts.slice(1)) {
    if (part === "..") out.pop();
    else if (part !== ".") out.push(part);
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
