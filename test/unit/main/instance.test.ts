import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "#base/log.ts";
import { loadInstance, saveInstance } from "../../../src/main/instance.ts";
import { loadAgentSettings } from "../../../src/main/settings.ts";

test("a failed note keeps no node from starting again, and none starts there unnoted", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "bramble-instance-"));
  const told: string[] = [];
  const write = (line: string) => void told.push(line);
  const log = createLog({ level: "info", format: "text", now: () => 0, write });
  const settings = loadAgentSettings({
    flags: { dataDir },
    env: {},
    file: undefined,
    filePath: "",
  });
  const cluster = {
    clusterCidr: "10.42.0.0/16",
    serviceCidr: "10.43.0.0/16",
    clusterDns: "10.43.0.10",
  };
  const occupied = join(dataDir, "instance.json.new");
  try {
    mkdirSync(occupied);
    expect(() => saveInstance(settings, cluster, 1, log)).toThrow("instance.json.new");
    rmSync(occupied, { recursive: true });
    saveInstance(settings, cluster, 1, log);
    mkdirSync(occupied);
    saveInstance(settings, cluster, 2, log);
    expect(loadInstance(dataDir).pid).toBe(1);
    expect(told.join()).toContain("how this node was started is not noted");
    rmSync(occupied, { recursive: true });
    saveInstance(settings, cluster, 3, log);
    expect(loadInstance(dataDir).pid).toBe(3);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});
