import { expect, test } from "bun:test";
import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Attacher } from "#agents/runtime/attach.ts";
import type { Containerd, ContainerRecord } from "#agents/runtime/containerd.ts";
import { labelKeys } from "#agents/runtime/runtime.ts";
import { realClock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import { tempDir } from "#test/support/store.ts";

test("a client hears what reaches the log a while after the container's end", async () => {
  const dir = tempDir();
  try {
    const log = join(dir.path, "0.log");
    writeFileSync(log, "before\n");
    const record: ContainerRecord = {
      ...{ id: "c1", labels: { [labelKeys.logPath]: log }, image: "i", snapshotter: "overlayfs" },
      ...{ snapshotKey: "c1", createdAtMs: 0, runtime: new Uint8Array(), spec: () => ({}) },
    };
    const containerd: Pick<Containerd, "container" | "waitProcess"> = {
      container: async () => record,
      waitProcess: async () => {
        realClock.after(limits.attachSettleMs / 2, () => appendFileSync(log, "late\n"));
        return 0;
      },
    };
    const attacher = new Attacher({
      containerd: containerd as Containerd,
      clock: realClock,
      log: silentLog,
      runDir: dir.path,
    });
    const channel = await attacher.attach("c1", { tty: true, stdin: false });
    const heard: string[] = [];
    for await (const bytes of channel.messages) {
      if (bytes[0] === 1) heard.push(Buffer.from(bytes.subarray(1)).toString());
    }
    expect(heard.join("")).toBe("late\n");
  } finally {
    dir.remove();
  }
});
