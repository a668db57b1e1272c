import { afterAll, beforeAll, setDefaultTimeout } from "bun:test";
import { labelKeys } from "#agents/runtime/runtime.ts";
import { eventually, type HostRuntime, startHostRuntime } from "#test/support/runtime.ts";
import { runtimeSuite } from "#test/support/suites/runtime.ts";

setDefaultTimeout(240_000);

let host: HostRuntime;

beforeAll(async () => {
  host = await startHostRuntime("suite");
});
afterAll(() => host?.close());

runtimeSuite(async () => ({
  runtime: host.runtime,
  spec: (name) =>
    host.spec("trap 'exit 143' TERM; echo up; while :; do sleep 0.02; done", {
      labels: { [labelKeys.container]: name },
    }),
  ready: async ({ logPath }) => void (await host.logWith(logPath, "up")),
  eventually,
  cleanUp: async () => host.runtime.remove((await host.runtime.list()).map((each) => each.id)),
}));
