/** A node whose disk is full: what runs goes on, also under a server that is started there. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { eventually, type Instance, run, startInstance } from "#test/support/instance.ts";

const DATA_BYTES = 64 * 2 ** 20;

let cluster: Instance;

beforeAll(async () => {
  cluster = await startInstance({ name: "fullnode", images: ["1"], dataBytes: DATA_BYTES });
}, 270_000);

afterAll(async () => {
  await cluster?.close();
}, 180_000);

/** One that the node needs is not evicted, however long a busy machine takes. */
const pod = (name: string): string => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}}
spec:
  priorityClassName: system-node-critical
  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: "bramble.local/web:1", imagePullPolicy: Never, command: [sleep, "100000"]}
`;

test("a server comes up again on it with its pods, and takes more once there is room", async () => {
  await cluster.apply(pod("stays"));
  await cluster.must("wait", "--for=condition=Ready", "pod/stays", "--timeout=120s");
  const status = "jsonpath={.status.containerStatuses[0].containerID} {.status.phase}";
  const before = await cluster.must("get", "pod", "stays", "-o", status);
  const fill = `${cluster.dataDir}/fill`;
  const fillUp = () => run(["sh", "-c", `cat /dev/zero >> ${fill}`]);
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    await fillUp();
    await cluster.stop(signal);
    // What the server gave back as it ended.
    await fillUp();
    await cluster.start();
    const here = () => cluster.must("exec", "stays", "--", "echo", "here");
    expect(await eventually("the node answers", 60_000, here)).toBe("here\n");
    expect(await cluster.must("get", "pod", "stays", "-o", status)).toBe(before);
  }
  // What a new start gave back.
  await fillUp();
  const refused = await cluster.kubectl(["apply", "-f", "-"], { stdin: pod("later") });
  expect(refused.stderr).toContain("the store could not write");
  rmSync(fill);
  await eventually("it takes a pod", 60_000, () => cluster.apply(pod("later")));
  await cluster.must("wait", "--for=condition=Ready", "pod/later", "--timeout=120s");
  expect(await cluster.must("get", "pod", "stays", "-o", status)).toBe(before);
}, 180_000);
