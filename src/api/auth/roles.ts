/** Roles and bindings, kept at hand and up to date: every request asks for them. */

import { BoundedMap } from "#api/auth/cache.ts";
import { followChanges } from "#api/changes.ts";
import { peek } from "#api/codec.ts";
import type { UserInfo } from "#api/core.ts";
import { compoundKey } from "#base/key.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Stored } from "#resources/meta.ts";
import { matchLabelSelector } from "#resources/selector.ts";
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  RbacV1Subject,
  Role,
  RoleBinding,
  RoleRef,
} from "#resources/types.gen.ts";
import type { Item, Store } from "#store/store.ts";

const GROUP = "rbac.authorization.k8s.io";
const BUCKETS = ["roles", "rolebindings", "clusterroles", "clusterrolebindings"] as const;

/** Rules that hold for a user in one namespace, or everywhere where that is undefined. */
export interface Grant {
  readonly namespace: string | undefined;
  readonly rules: readonly PolicyRule[];
  /** In upstream's words. */
  readonly reason: string;
}

export interface Roles {
  start(): Promise<() => void>;
  /** Everything that the user was given. */
  grants(user: UserInfo): readonly Grant[];
  /** Rules of a role that a binding names; undefined where it does not exist. */
  rulesOf(ref: RoleRef, namespace: string | undefined): readonly PolicyRule[] | undefined;
  clusterRoles(): Iterable<Stored<ClusterRole>>;
  /** Called after each change of a role or binding. */
  onChange(listener: () => void): void;
}

function matches(subject: RbacV1Subject, user: UserInfo, namespace: string | undefined): boolean {
  switch (subject.kind) {
    case "User":
      return subject.name === user.name;
    case "Group":
      return user.groups.includes(subject.name);
    case "ServiceAccount": {
      const from = subject.namespace || namespace;
      return from !== undefined && user.name === `system:serviceaccount:${from}:${subject.name}`;
    }
    default:
      return false;
  }
}

function reasonOf(
  { metadata, roleRef }: RoleBinding | ClusterRoleBinding,
  namespace: string | undefined,
  subject: RbacV1Subject,
): string {
  const place = namespace === undefined ? "" : `/${namespace}`;
  const kind = namespace === undefined ? "ClusterRoleBinding" : "RoleBinding";
  const from = subject.kind === "ServiceAccount" ? `/${subject.namespace}` : "";
  return (
    `RBAC: allowed by ${kind} "${metadata?.name}${place}" of ${roleRef.kind} "${roleRef.name}" ` +
    `to ${subject.kind} "${subject.name}${from}"`
  );
}

/** Rules of an aggregated role: those of all that its selectors choose. */
export function aggregate(role: ClusterRole, all: Iterable<ClusterRole>): PolicyRule[] | undefined {
  const selectors = role.aggregationRule?.clusterRoleSelectors;
  if (selectors === undefined) return undefined;
  const tests = selectors.map((selector) => matchLabelSelector(selector));
  const rules = new Map<string, PolicyRule>();
  for (const other of all) {
    if (other.metadata?.name === role.metadata?.name) continue;
    if (!tests.some((test) => test(other.metadata?.labels ?? {}))) continue;
    for (const rule of other.rules ?? []) rules.set(JSON.stringify(rule), rule);
  }
  return [...rules.values()];
}

export function createRoles(store: Store, log: Log): Roles {
  const items = new Map<string, Item>();
  const byUser = new BoundedMap<string, readonly Grant[]>(limits.tokenCacheEntries);
  const listeners: Array<() => void> = [];

  function* under<T extends object>(bucket: string): Generator<Stored<T>> {
    const prefix = `${GROUP}/${bucket}/`;
    for (const [key, item] of items) if (key.startsWith(prefix)) yield peek(item) as Stored<T>;
  }

  const rulesOf: Roles["rulesOf"] = (ref, namespace) => {
    const cluster = ref.kind === "ClusterRole";
    const key = cluster
      ? `${GROUP}/clusterroles/${ref.name}`
      : `${GROUP}/roles/${namespace}/${ref.name}`;
    const item = items.get(key);
    if (item === undefined) return undefined;
    return peek<Role | ClusterRole>(item).rules ?? [];
  };

  function compute(user: UserInfo): Grant[] {
    const grants: Grant[] = [];
    const add = (
      binding: RoleBinding | ClusterRoleBinding,
      namespace: string | undefined,
    ): void => {
      const subject = binding.subjects?.find((each) => matches(each, user, namespace));
      if (subject === undefined) return;
      const rules = rulesOf(binding.roleRef, namespace);
      if (rules !== undefined) {
        grants.push({ namespace, rules, reason: reasonOf(binding, namespace, subject) });
      }
    };
    for (const binding of under<ClusterRoleBinding>("clusterrolebindings")) add(binding, undefined);
    for (const binding of under<RoleBinding>("rolebindings")) {
      add(binding, binding.metadata.namespace);
    }
    return grants;
  }

  const follow = (bucket: string): Promise<() => void> =>
    followChanges({
      ...{ store, log, prefix: `${GROUP}/${bucket}/` },
      onChanges: (changes, isFirst) => {
        for (const { type, item } of changes) {
          if (type === "delete") items.delete(item.key);
          else items.set(item.key, item);
        }
        byUser.clear();
        if (!isFirst) for (const listener of listeners) listener();
      },
    });

  return {
    async start() {
      const ends = await Promise.all(BUCKETS.map(follow));
      return () => {
        for (const end of ends) end();
      };
    },
    grants(user) {
      const key = compoundKey(user.name, ...user.groups);
      let grants = byUser.get(key);
      if (grants === undefined) {
        grants = compute(user);
        byUser.set(key, grants);
      }
      return grants;
    },
    rulesOf,
    clusterRoles: () => under<ClusterRole>("clusterroles"),
    onChange: (listener) => {
      listeners.push(listener);
    },
  };
}
