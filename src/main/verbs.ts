/** Subcommands that run or manage the parts of bramble themselves. One line each. */
import type { Verb } from "#cli/verb.ts";

export const ownVerbs: readonly Verb[] = [
  {
    name: "start",
    summary: "make or start a local cluster",
    load: () => import("./verbs/start.ts"),
  },
  {
    name: "stop",
    summary: "stop a local cluster and its pods",
    load: () => import("./verbs/stop.ts"),
  },
  {
    name: "status",
    summary: "show local clusters and their nodes",
    load: () => import("./verbs/status.ts"),
  },
  {
    name: "server",
    summary: "run the control plane, and a node agent beside it",
    stays: true,
    load: () => import("./verbs/server.ts"),
  },
  {
    name: "agent",
    summary: "run a node that joins a cluster",
    stays: true,
    load: () => import("./verbs/agent.ts"),
  },
  {
    name: "token",
    summary: "make, list or revoke tokens to join with, replace the admin's",
    load: () => import("./verbs/token.ts"),
  },
  {
    name: "secrets",
    summary: "rotate the key that Secrets are encrypted with",
    load: () => import("./verbs/secrets.ts"),
  },
  {
    name: "discover",
    summary: "list servers and waiting devices on this network",
    load: () => import("./verbs/discover.ts"),
  },
  {
    name: "adopt",
    summary: "take in a device that waits and shows a code",
    load: () => import("./verbs/adopt.ts"),
  },
  {
    name: "node",
    summary: "cordon, drain or remove a node",
    load: () => import("./verbs/node.ts"),
  },
  {
    name: "backup",
    summary: "write the cluster's state and keys to a file, while the server runs",
    load: () => import("./verbs/backup.ts"),
  },
  {
    name: "restore",
    summary: "take a server's state and keys back from a backup",
    load: () => import("./verbs/restore.ts"),
  },
  {
    name: "migrate",
    summary: "move the cluster from SQLite to etcd, or back, while its servers are stopped",
    load: () => import("./verbs/migrate.ts"),
  },
  {
    name: "image",
    summary: "load images into this node",
    load: () => import("./verbs/image.ts"),
  },
  {
    name: "doctor",
    summary: "check what a node needs of its machine, and mend it",
    load: () => import("./verbs/doctor.ts"),
  },
  {
    name: "upgrade",
    summary: "put a new version in the place of the installed one, or go back",
    load: () => import("./verbs/upgrade.ts"),
  },
  {
    name: "verify",
    summary: "check the signature of a release file",
    load: () => import("./verbs/verify.ts"),
  },
  {
    name: "delete",
    summary: "delete objects; without any, the local cluster and all its traces",
    load: () => import("./verbs/delete.ts"),
  },
];
