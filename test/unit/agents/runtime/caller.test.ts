import { expect, test } from "bun:test";
import { Caller, fatalMessage, NerdctlError } from "#agents/runtime/caller.ts";
import { TimeoutError } from "#base/errors.ts";
import type { Run, RunOptions } from "#base/process.ts";

function caller(run: Run, rest: { hostsDirs?: string[]; callsMax?: number } = {}): Caller {
  const { hostsDirs = [], callsMax = 2 } = rest;
  return new Caller({
    run,
    binary: "nerdctl",
    address: "/run/c.sock",
    namespace: "bramble",
    dataRoot: "/data",
    hostsDirs,
    callsMax,
    timeoutMs: 1000,
  });
}

test("global flags, and an environment with nothing of ours in it", async () => {
  const seen: Array<{ argv: readonly string[]; options: RunOptions | undefined }> = [];
  const run: Run = async (argv, options) => {
    seen.push({ argv, options });
    return { exitCode: 0, stdout: "out", stderr: "" };
  };
  const nerdctl = caller(run, { hostsDirs: ["/certs"] });
  expect(await nerdctl.call({ argv: ["pull", "x"], env: { HTTPS_PROXY: "p" } })).toBe("out");
  expect(seen[0]?.argv.join(" ")).toBe(
    "nerdctl --address /run/c.sock --namespace bramble --data-root /data " +
      "--cni-netconfpath /data/cni --cgroup-manager cgroupfs --hosts-dir /certs pull x",
  );
  expect(seen[0]?.options).toMatchObject({ cleanEnv: true, timeoutMs: 1000 });
  expect(Object.keys(seen[0]?.options?.env ?? {}).sort()).toEqual([
    "DOCKER_CONFIG",
    "HOME",
    "HTTPS_PROXY",
    "PATH",
  ]);
});

test("what nerdctl says is what its error says", async () => {
  const stderr = [
    'time="2026-01-01T00:00:00Z" level=warning msg="never mind"',
    'time="2026-01-01T00:00:00Z" level=fatal msg="no such \\"thing\\""',
    "",
  ].join("\n");
  expect(fatalMessage(stderr)).toBe('no such "thing"');
  expect(fatalMessage("level=fatal msg=short")).toBe("short");
  expect(fatalMessage("plain words\n")).toBe("plain words");
  expect(fatalMessage("")).toBe("");
  const failing = caller(async () => ({ exitCode: 1, stdout: "", stderr }));
  const error = await failing.call({ argv: [] }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(NerdctlError);
  expect(String(error)).toContain('no such "thing"');
});

test("a limit of time stays one, and a missing program is named", async () => {
  const slow = caller(() => Promise.reject(new TimeoutError("late")));
  await expect(slow.call({ argv: [] })).rejects.toBeInstanceOf(TimeoutError);
  const missing = caller(() => Promise.reject(new Error("ENOENT")));
  await expect(missing.call({ argv: [] })).rejects.toThrow("start nerdctl: ENOENT");
});

test("few at once, in the order in which they came", async () => {
  const running: Array<{ name: string; end: () => void }> = [];
  const started: string[] = [];
  const run: Run = (argv) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const name = argv.at(-1) ?? "";
    started.push(name);
    running.push({ name, end: resolve });
    return promise.then(() => ({ exitCode: 0, stdout: "", stderr: "" }));
  };
  const nerdctl = caller(run, { callsMax: 2 });
  const all = ["a", "b", "c", "d"].map((name) => nerdctl.call({ argv: [name] }));
  await Bun.sleep(0);
  expect(started).toEqual(["a", "b"]);
  running[1]?.end();
  await all[1];
  await Bun.sleep(0);
  expect(started).toEqual(["a", "b", "c"]);
  for (let i = 0; i < 4; i++) {
    running[i]?.end();
    await Bun.sleep(0);
  }
  await Promise.all(all);
  expect(started).toEqual(["a", "b", "c", "d"]);
});
