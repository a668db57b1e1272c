import { expect, test } from "bun:test";
import { createArguments } from "#agents/runtime/args.ts";
import type { ContainerSpec } from "#agents/runtime/runtime.ts";
import { plainContainer } from "#test/support/containerspec.ts";
import { golden } from "#test/support/golden.ts";

const BASE: ContainerSpec = {
  ...plainContainer,
  image: "docker.io/library/busybox:1",
  labels: {},
  group: "g",
  network: { namespacePath: "/run/netns/n" },
  hostname: "h",
  logPath: "/logs/c.log",
  cgroupParent: "/pods/p",
};
golden(new URL("./args.golden.txt", import.meta.url), (input) => {
  const rest: Partial<ContainerSpec> & { hostname?: string | null } = JSON.parse(input);
  const { hostname = "h", ...spec } = { ...BASE, ...rest };
  const whole: ContainerSpec = { ...spec, ...(hostname !== null && { hostname }) };
  const argv = createArguments(whole, "/run/id");
  // A line for each flag with its value.
  const words = argv.map((word) => JSON.stringify(word).slice(1, -1));
  return words.join(" ").replaceAll(" --", "\n--");
});

test("no value of the environment is an argument, for arguments are seen by everybody", () => {
  const env = [{ name: "PASSWORD", value: "secret" }];
  expect(createArguments({ ...BASE, env }, "/run/id")).toEqual(createArguments(BASE, "/run/id"));
});
