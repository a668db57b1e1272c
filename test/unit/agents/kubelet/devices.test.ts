import { expect, test } from "bun:test";
import { assignDevices, deviceCapacity, devicesOf, takenDevices } from "#agents/kubelet/devices.ts";
import { box, podOf, stateOf } from "#test/support/podstate.ts";

const NAMES = ["null", "tty0", "ttyUSB0", "ttyACM1", "gpiochip0", "i2c-1", "dri/card0", "video0"];
const devices = devicesOf(NAMES);
const asks = (name: string, limits: Record<string, string>) => box(name, { resources: { limits } });

test("the node offers what it has", () => {
  expect(deviceCapacity(devices)).toEqual({
    "bramble.dev/serial": 2,
    "bramble.dev/video": 1,
    "bramble.dev/gpio": 32,
    "bramble.dev/i2c": 32,
    "bramble.dev/gpu": 32,
  });
  expect(deviceCapacity(devicesOf(["null"]))).toEqual({});
});

test("a serial port is given once, the GPIO chip to everyone", () => {
  const one = podOf({
    containers: [asks("a", { "bramble.dev/serial": "1", "bramble.dev/gpio": "1" })],
  });
  const first = assignDevices(one, devices, new Set());
  expect(first).toEqual({ a: ["/dev/ttyACM1", "/dev/gpiochip0"] });
  const taken = takenDevices([{ ...stateOf(one).record, devices: first ?? {} }]);
  expect(assignDevices(one, devices, taken)).toEqual({ a: ["/dev/ttyUSB0", "/dev/gpiochip0"] });
  const all = new Set(["/dev/ttyACM1", "/dev/ttyUSB0"]);
  expect(assignDevices(one, devices, all)).toBeUndefined();
});

test("containers of a pod do not share a port, but an init container hands it on", () => {
  const serial = { "bramble.dev/serial": "1" };
  const two = podOf({
    initContainers: [asks("i", serial)],
    containers: [asks("a", serial), asks("b", serial)],
  });
  expect(assignDevices(two, devices, new Set())).toEqual({
    i: ["/dev/ttyACM1"],
    a: ["/dev/ttyACM1"],
    b: ["/dev/ttyUSB0"],
  });
});

test("a pod that asks for none gets none", () => {
  expect(assignDevices(podOf(), devices, new Set())).toEqual({});
});
