/** Filled in by the build. */
declare const BRAMBLE_VERSION: string | undefined;
declare const BRAMBLE_COMMIT: string | undefined;

const built = typeof BRAMBLE_VERSION === "string";
export const version = built ? (BRAMBLE_VERSION ?? "") : "0.0.0-source";
export const commit = built ? (BRAMBLE_COMMIT ?? "") : "source";

/** What the API and the agents say they are: the version of Kubernetes whose API is served. */
export const kubernetesVersion = `v1.34.4+bramble-${version}`;
