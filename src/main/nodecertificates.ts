/** Nodes may have their own certificates renewed without an operator, as kubeadm sets it up. */
import type { Client } from "#client/client.ts";
import { clusterRoleBindings } from "#resources/kinds/clusterrolebinding.ts";

const NAME = "bramble:node-certificates";

/** Made once; an operator's change stays. */
export async function allowNodeCertificates(client: Client): Promise<void> {
  if ((await client.get(clusterRoleBindings, { name: NAME })) !== undefined) return;
  const apiGroup = "rbac.authorization.k8s.io";
  await client.create(clusterRoleBindings, {
    metadata: { name: NAME },
    roleRef: {
      apiGroup,
      kind: "ClusterRole",
      name: "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
    },
    subjects: [{ apiGroup, kind: "Group", name: "system:nodes" }],
  });
}
