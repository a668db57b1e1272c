/** What `bramble migrate` was asked for. */
import type { Refusal } from "./plan.ts";

const HINT = "from SQLite: --to etcd=URL,URL,URL; back: --to sqlite --datastore etcd=URL,URL,URL";

export interface Route {
  readonly to: "etcd" | "sqlite";
  /** The etcd of either end, as `--datastore` names it. */
  readonly etcd: string;
}

/** There are two kinds of datastore, so that one end says what the other one is. */
export function routeOf(to: string, datastore: string): Route | Refusal {
  if (/^etcd=[^\s,]+(,[^\s,]+)*$/.test(to)) return { to: "etcd", etcd: to };
  if (to !== "sqlite") return { refused: "--to: must be sqlite or etcd=URL,URL,URL", hint: HINT };
  if (datastore === "sqlite") {
    return { refused: "--datastore: say which etcd the cluster is in", hint: HINT };
  }
  return { to: "sqlite", etcd: datastore };
}
