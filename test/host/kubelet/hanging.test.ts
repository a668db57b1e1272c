/** A nerdctl that does not come back: time limits on every call, and one pod that waits. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type Run, runProcess } from "#base/process.ts";
import {
  eventually,
  type HostKubelet,
  shell,
  startHostKubelet,
  statusOf,
  WAIT,
} from "#test/support/hostkubelet.ts";

setDefaultTimeout(300_000);

/** What is left of a call's time once the test has seen the others go on. */
const CALL_MS_MAX = 200;
const HUNG = "hung";

let k: HostKubelet;
let hanging = true;
let hung = 0;
const seen = Promise.withResolvers<void>();

const stuck: Run = async (argv, options) => {
  const isIts = argv.includes("create") && argv.some((word) => word === HUNG);
  if (!hanging || !isIts) return runProcess(argv, options);
  hung++;
  await seen.promise;
  return runProcess(["sleep", "1000"], { ...options, timeoutMs: CALL_MS_MAX });
};

beforeAll(async () => {
  k = await startHostKubelet("kubelet-hanging", { runtime: { run: stuck } });
});

afterAll(async () => {
  await k.close();
});

test("a call that hangs ends by its limit, is told of, and holds up no other pod", async () => {
  const spec = { containers: [shell("main", WAIT)] };
  // Of another kind than the one beside it, from which it could be copied otherwise.
  await k.create(HUNG, { containers: [shell("main", `: hung; ${WAIT}`)] });
  await eventually("the call", () => (hung > 0 ? true : undefined));
  await k.create("beside", spec);
  const beside = await k.ready("beside");
  const id = statusOf(beside)?.containerID?.replace("containerd://", "") ?? "";
  await k.host.runtime.signal(id, "SIGKILL");
  await k.until(
    "beside",
    (pod) => statusOf(pod)?.restartCount === 1 && statusOf(pod)?.ready === true,
  );
  await k.remove("beside", 0);
  expect(hung).toBe(1);
  seen.resolve();
  await k.said(HUNG, "Failed", new RegExp(`took more than ${CALL_MS_MAX} ms`));
  const pod = await k.until(HUNG, (one) => (statusOf(one)?.restartCount ?? 0) > 0);
  expect(statusOf(pod)?.lastState?.terminated?.reason).toBe("StartError");
  hanging = false;
  await k.ready(HUNG);
  const own = (await k.host.runtime.list()).filter(
    ({ labels }) => labels["bramble.dev/uid"] === pod.metadata.uid,
  );
  expect(own.map(({ state }) => state)).toEqual(["running"]);
});
