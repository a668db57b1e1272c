/** Subcommands that speak to a cluster's API as kubectl does. One line each. */
import type { Verb } from "#cli/verb.ts";

export const clientVerbs: readonly Verb[] = [
  {
    name: "get",
    summary: "show objects",
    load: () => import("#cli/verbs/get.ts"),
  },
  {
    name: "apply",
    summary: "make objects as files have them",
    load: () => import("#cli/verbs/apply.ts"),
  },
  {
    name: "rollout",
    summary: "follow, undo, restart or hold a rollout",
    load: () => import("#cli/verbs/rollout.ts"),
  },
  {
    name: "scale",
    summary: "set how many replicas there are",
    load: () => import("#cli/verbs/scale.ts"),
  },
  {
    name: "logs",
    summary: "print what a pod's containers wrote",
    load: () => import("#cli/verbs/logs.ts"),
  },
  {
    name: "exec",
    summary: "run a command in a container",
    load: () => import("#cli/verbs/exec.ts"),
  },
  {
    name: "describe",
    summary: "show all there is to know of objects",
    load: () => import("#cli/verbs/describe.ts"),
  },
  {
    name: "wait",
    summary: "wait until something is true of objects",
    load: () => import("#cli/verbs/wait.ts"),
  },
  {
    name: "events",
    summary: "show events, the newest last",
    load: () => import("#cli/verbs/events.ts"),
  },
  {
    name: "explain",
    summary: "show the fields of a type",
    load: () => import("#cli/verbs/explain.ts"),
  },
  {
    name: "top",
    summary: "show what nodes and pods use",
    load: () => import("#cli/verbs/top.ts"),
  },
  {
    name: "autoscale",
    summary: "let an autoscaler set the replicas",
    load: () => import("#cli/verbs/autoscale.ts"),
  },
  {
    name: "version",
    summary: "show the versions of this program and of the server",
    load: () => import("#cli/verbs/version.ts"),
  },
  {
    name: "cp",
    summary: "copy files to and from containers",
    load: () => import("#cli/verbs/cp.ts"),
  },
  {
    name: "port-forward",
    summary: "lead local ports into a pod",
    load: () => import("#cli/verbs/portforward.ts"),
  },
  {
    name: "api-resources",
    summary: "list the types that the server serves",
    load: () => import("#cli/verbs/apiresources.ts"),
  },
];
