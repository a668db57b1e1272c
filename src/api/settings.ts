/** What the operator may choose about the API server. */
export interface Settings {
  /** Ranges of Service addresses, the first one's family is the default. */
  readonly serviceCidrs: readonly string[];
  readonly nodePorts: { readonly first: number; readonly last: number };
  /** Where the `kubernetes` Service leads; without it none is made. */
  readonly advertise?: {
    readonly address: string;
    readonly port: number;
    /** Other servers of the same datastore have addresses too. */
    readonly isShared?: boolean;
  };
  readonly clusterDomain: string;
  /** Issuer of service account tokens. */
  readonly issuer: string;
  readonly audiences: readonly string[];
  /** Seconds that a pod stays on a node that is gone (admission DefaultTolerationSeconds). */
  readonly tolerationSeconds: number;
  readonly eventTtlMs: number;
  /** Requests under way, shared out among levels of priority. */
  readonly requestsInFlightMax: number;
  readonly gitVersion: string;
  /** The authority of the cluster's certificates, PEM: handed to those who must check them. */
  readonly caPem?: string;
  /** Signs the certificate by which extension API servers know this one. */
  readonly requestHeaderCaPem?: string;
}

export const defaultSettings: Settings = {
  serviceCidrs: ["10.43.0.0/16"],
  nodePorts: { first: 30_000, last: 32_767 },
  clusterDomain: "cluster.local",
  issuer: "https://kubernetes.default.svc.cluster.local",
  audiences: ["https://kubernetes.default.svc.cluster.local"],
  tolerationSeconds: 300,
  eventTtlMs: 60 * 60 * 1000,
  requestsInFlightMax: 600,
  gitVersion: "v1.34.4+bramble",
};
