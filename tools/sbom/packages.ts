/** The packages of bun.lock, and which of them are part of the program. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

const names = z.record(z.string(), z.string()).default({});
const meta = z.object({
  dependencies: names,
  optionalDependencies: names,
  os: z.unknown().optional(),
});
const lockShape = z.object({
  workspaces: z.object({
    "": z.object({ dependencies: names, devDependencies: names }),
  }),
  packages: z.record(z.string(), z.tuple([z.string(), z.string(), meta, z.string()])),
});
type Lock = z.output<typeof lockShape>;

export interface LockedPackage {
  name: string;
  version: string;
  /** SHA-512 of the archive, hexadecimal. */
  sha512: string;
  /** An SPDX expression; undefined where the package is for another machine and not installed. */
  license: string | undefined;
  /** Part of the program, and not only of its development. */
  isShipped: boolean;
  /** `name@version` of each package that it needs. */
  needs: string[];
}

export const idOf = ({ name, version }: { name: string; version: string }): string =>
  `${name}@${version}`;

function licenseOf(root: string, key: string): string | undefined {
  const path = join(root, "node_modules", key, "package.json");
  if (!existsSync(path)) return undefined;
  return z.object({ license: z.string() }).parse(JSON.parse(readFileSync(path, "utf8"))).license;
}

/** Keys of the packages that one needs, as it finds them: its own copy before the common one. */
function neededBy(lock: Lock, key: string): string[] {
  const [, , { dependencies, optionalDependencies }] = lock.packages[key] ?? [
    "",
    "",
    meta.parse({}),
  ];
  return Object.keys({ ...dependencies, ...optionalDependencies })
    .map((name) => (`${key}/${name}` in lock.packages ? `${key}/${name}` : name))
    .filter((name) => name in lock.packages)
    .sort();
}

function reachable(lock: Lock): Set<string> {
  const found = new Set(Object.keys(lock.workspaces[""].dependencies));
  // What is added while it runs is visited too.
  for (const key of found) for (const needed of neededBy(lock, key)) found.add(needed);
  return found;
}

/** Sorted by name. @throws Error where the lock file has another form. */
export function lockedPackages(root: string): LockedPackage[] {
  const lock = lockShape.parse(Bun.JSONC.parse(readFileSync(join(root, "bun.lock"), "utf8")));
  const shipped = reachable(lock);
  const named = (key: string): { name: string; version: string } => {
    const id = lock.packages[key]?.[0] ?? "";
    const at = id.lastIndexOf("@");
    return { name: id.slice(0, at), version: id.slice(at + 1) };
  };
  return Object.entries(lock.packages)
    .map(([key, [, , { os }, integrity]]) => ({
      ...named(key),
      sha512: Buffer.from(integrity.replace(/^sha512-/, ""), "base64").toString("hex"),
      // Packages for one system are installed on it alone: the same text is written on each.
      license: os === undefined ? licenseOf(root, key) : undefined,
      isShipped: shipped.has(key),
      needs: neededBy(lock, key).map((needed) => idOf(named(needed))),
    }))
    .sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
}

/** What the program itself needs, `name@version`. */
export function ownNeeds(root: string, packages: readonly LockedPackage[]): string[] {
  const { dependencies } = z
    .object({ dependencies: names })
    .parse(JSON.parse(readFileSync(join(root, "package.json"), "utf8")));
  return packages.filter(({ name, version }) => dependencies[name] === version).map(idOf);
}
