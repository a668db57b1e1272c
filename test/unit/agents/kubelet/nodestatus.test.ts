import { expect, test } from "bun:test";
import { ownStatus, sameNodeStatus } from "#agents/kubelet/nodestatus.ts";

test("resources that others advertise are not this node's to tell or to take away", () => {
  const own = { cpu: "4", "hugepages-2Mi": "0", "bramble.dev/serial": "1" };
  const live = {
    capacity: { ...own, "example.com/fpga": "2" },
    allocatable: { ...own, "example.com/fpga": "2" },
  };
  expect(ownStatus(live)).toEqual({ capacity: own, allocatable: own });
  expect(sameNodeStatus(ownStatus(live), { capacity: own, allocatable: own })).toBe(true);
  expect(ownStatus(undefined)).toBeUndefined();
});
