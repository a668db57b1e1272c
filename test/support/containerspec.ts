import type { ContainerSpec } from "#agents/runtime/runtime.ts";

/** A container that asks for nothing special; what it is, and where, its test adds. */
export const plainContainer = {
  env: [],
  mounts: [],
  devices: [],
  tmpfs: [],
  tty: false,
  stdin: false,
  groups: [],
  privileged: false,
  capabilities: { add: [], drop: [] },
  readOnlyRootfs: false,
  noNewPrivileges: false,
  sysctls: {},
} satisfies Partial<ContainerSpec>;
