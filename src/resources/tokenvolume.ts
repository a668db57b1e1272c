/** The volume with a pod's own token: its name begins so, and ends by chance. */
export const TOKEN_VOLUME_PREFIX = "kube-api-access-";
