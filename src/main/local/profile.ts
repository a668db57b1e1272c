/** Local clusters of this machine by name: where each has its data, ports and addresses. */
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { OperatorError, UsageError } from "#base/errors.ts";
import { readText, writeDurably } from "#base/files.ts";

export const PROFILES = "/var/lib/bramble-local";
export const DEFAULT_PROFILE = "bramble";
/** Each takes two ranges of pod and Service addresses. */
const PROFILES_MAX = 16;

export interface Profile {
  name: string;
  /** From 0 on; addresses follow from it. */
  number: number;
  nodes: number;
  httpsPort: number;
  /** A containerd that was there already; undefined where the cluster has its own. */
  containerd?: string;
}

/** Short, as names of links are made from it. */
const NAME = /^[a-z][a-z0-9-]{0,30}$/;

export function checkProfile(name: string): string {
  if (NAME.test(name)) return name;
  throw new UsageError(`--profile: "${name}" must be letters, digits and dashes, in lower case`);
}

export const folderOf = (name: string): string => join(PROFILES, name);
const fileOf = (name: string): string => join(folderOf(name), "profile.json");

export function loadProfile(name: string): Profile | undefined {
  const text = readText(fileOf(name));
  return text === undefined ? undefined : (JSON.parse(text) as Profile);
}

/** @throws OperatorError where there is none. */
export function mustLoad(name: string): Profile {
  const profile = loadProfile(name);
  if (profile !== undefined) return profile;
  throw new OperatorError(`there is no local cluster "${name}"`, {
    hint: `bramble start${name === DEFAULT_PROFILE ? "" : ` --profile ${name}`} makes one`,
  });
}

export function saveProfile(profile: Profile): void {
  mkdirSync(folderOf(profile.name), { recursive: true, mode: 0o700 });
  writeDurably(fileOf(profile.name), `${JSON.stringify(profile)}\n`);
}

export function listProfiles(): Profile[] {
  if (!existsSync(PROFILES)) return [];
  return readdirSync(PROFILES)
    .sort()
    .flatMap((name) => loadProfile(name) ?? []);
}

/** A number that no other cluster has, and whose ranges no route of this machine is in. */
export function freeNumber(taken: readonly number[], routes: string): number {
  for (let number = 0; number < PROFILES_MAX; number++) {
    const { pods, services, lan } = rangesOf(number);
    const prefixes = [pods, services, lan].map((range) => range.replace(/0\.0\/16$|0\/24$/, ""));
    const used = prefixes.some((prefix) => new RegExp(`(?:^|\\s)${prefix}`, "m").test(routes));
    if (!taken.includes(number) && !used) return number;
  }
  throw new OperatorError(`there are ${PROFILES_MAX} local clusters already`);
}

export function rangesOf(number: number): { pods: string; services: string; lan: string } {
  return {
    pods: `10.${192 + 2 * number}.0.0/16`,
    services: `10.${193 + 2 * number}.0.0/16`,
    lan: `172.29.${number}.0/24`,
  };
}

export interface LocalNode {
  name: string;
  /** From 1 on; 1 is the server, on the machine's own network. */
  index: number;
  dataDir: string;
  containerdDir: string;
  containerd: string;
  namespace: string;
  /** On the cluster's own network. */
  address: string;
  /** Network namespace; undefined for the server's. */
  netns?: string;
}

export function nodesOf(profile: Profile): LocalNode[] {
  const folder = folderOf(profile.name);
  return Array.from({ length: profile.nodes }, (_, i): LocalNode => {
    const index = i + 1;
    const own = join(folder, `containerd${index}`);
    const given = index === 1 ? profile.containerd : undefined;
    return {
      name: index === 1 ? profile.name : `${profile.name}-m${String(index).padStart(2, "0")}`,
      index,
      dataDir: join(folder, `node${index}`),
      containerdDir: own,
      containerd: given ?? join(own, "containerd.sock"),
      namespace: `bramble-local-${profile.name}`,
      address: rangesOf(profile.number).lan.replace(/0\/24$/, String(index)),
      ...(index > 1 && { netns: `bramble-${profile.name}-${index}` }),
    };
  });
}
