/**
 * The API in a process of its own, for attacks: its pod `default/one` takes all input and says
 * nothing, and its log never ends. Prints its port.
 */
import { listen } from "#api/listener.ts";
import type { NodeLink } from "#api/nodes.ts";
import { channelPair } from "#base/channel.ts";
import { silentLog } from "#base/log.ts";
import { ADMIN, ADMIN_TOKEN, startApi } from "#test/support/api.ts";

const link: NodeLink = {
  fetch: async () =>
    new Response(new ReadableStream({ start: (to) => to.enqueue(Buffer.from("x\n")) })),
  async open() {
    const [inside, outside] = channelPair();
    void (async () => {
      for await (const _ of inside.messages);
    })().catch(() => undefined);
    return outside;
  },
};

const user = (name: string) => ({ name, groups: ["tenants", "system:authenticated"] });
const tokens = new Map([
  [ADMIN_TOKEN, ADMIN],
  ["one", user("one")],
  ["two", user("two")],
  ["guest", { name: "guest", groups: [] }],
]);
const nodeLinks = { link: () => link, appears: async () => link };
const test = await startApi({ nodeLinks, auth: { tokens } });
const rights = { verbs: ["*"], apiGroups: ["*"], resources: ["*"] };
const group = "rbac.authorization.k8s.io";
await test.create(`/apis/${group}/v1/clusterroles`, {
  metadata: { name: "tenants" },
  rules: [rights],
} as object);
await test.create(`/apis/${group}/v1/clusterrolebindings`, {
  metadata: { name: "tenants" },
  roleRef: { apiGroup: group, kind: "ClusterRole", name: "tenants" },
  subjects: [{ apiGroup: group, kind: "Group", name: "tenants" }],
} as object);
await test.create("/api/v1/namespaces/default/pods", {
  metadata: { name: "one" },
  spec: { nodeName: "n1", containers: [{ name: "main", image: "i:1" }] },
} as object);
const listener = listen({
  fetch: test.api.fetch,
  hostname: "127.0.0.1",
  port: 0,
  log: silentLog,
});
process.stdout.write(`${listener.port}\n`);
// Ends with the test.
process.stdin.on("end", () => process.exit(0)).resume();
