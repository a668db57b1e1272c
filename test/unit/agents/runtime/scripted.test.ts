/** The runtime that other tests play with must keep what the real one keeps. */
import { labelKeys } from "#agents/runtime/runtime.ts";
import { fakeClock } from "#test/support/clock.ts";
import { plainContainer } from "#test/support/containerspec.ts";
import { ScriptedRuntime } from "#test/support/scripted.ts";
import { runtimeSuite } from "#test/support/suites/runtime.ts";

runtimeSuite(async () => ({
  runtime: new ScriptedRuntime(fakeClock(), ["busybox:1"]),
  spec: (name) => ({
    ...plainContainer,
    image: "busybox:1",
    labels: { [labelKeys.container]: name },
    group: "g",
    network: "host",
    logPath: "/dev/null",
    cgroupParent: "/",
  }),
  ready: async () => {},
  async eventually(what, look) {
    const found = await look();
    if (found === undefined) throw new Error(`no ${what}`);
    return found;
  },
  cleanUp: async () => {},
}));
