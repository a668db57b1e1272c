/** Commands in running containers: probes, hooks, kubectl exec and attach. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { RuntimeError } from "#agents/runtime/runtime.ts";
import type { Channel } from "#base/channel.ts";
import { messageOf, TimeoutError } from "#base/errors.ts";
import { eventually, type HostRuntime, startHostRuntime } from "#test/support/runtime.ts";

setDefaultTimeout(240_000);

let host: HostRuntime;
let id: string;

beforeAll(async () => {
  host = await startHostRuntime("exec");
  id = (await host.runtime.run(host.spec("sleep 100000", { hostname: "inside" }))).id;
});
afterAll(() => host?.close());

function message(channel: number, bytes: string | Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(channel), Buffer.from(bytes)]);
}

interface Heard {
  stdout: Buffer;
  stderr: string;
  status: { status?: string; reason?: string; message?: string; details?: unknown };
}

/** Everything until the other side ends. */
async function hear(channel: Channel): Promise<Heard> {
  const parts: Record<number, Uint8Array[]> = { 1: [], 2: [], 3: [] };
  for await (const each of channel.messages) parts[each[0] ?? 0]?.push(each.subarray(1));
  return {
    stdout: Buffer.concat(parts[1] ?? []),
    stderr: Buffer.concat(parts[2] ?? []).toString(),
    status: JSON.parse(Buffer.concat(parts[3] ?? []).toString()),
  };
}

/** Sends input without an end; why that came to one after all, and until it is stuck. */
function pour(channel: Channel): { over: Promise<string>; stuck: () => Promise<true> } {
  const piece = message(0, new Uint8Array(32 * 1024));
  let sentAtMs = performance.now();
  const send = async (): Promise<never> => {
    for (;;) {
      await channel.send(piece);
      sentAtMs = performance.now();
    }
  };
  const stuck = () =>
    eventually<true>("a full pipe", () => performance.now() - sentAtMs > 300 || undefined);
  return { over: send().catch(messageOf), stuck };
}

/** Descriptors of this process come back to what they were. */
async function descriptorsBack(before: number): Promise<void> {
  Bun.gc(true);
  const now = () => readdirSync("/proc/self/fd").length;
  await eventually("the descriptors to go", () => now() <= before + 3 || undefined);
}

function exec(script: string, options: { tty?: boolean; stdin?: boolean } = {}): Promise<Channel> {
  const { tty = false, stdin = false } = options;
  return host.runtime.exec(id, { command: ["sh", "-c", script], tty, stdin });
}

async function processes(): Promise<string> {
  return (await host.runtime.execSync(id, ["ps", "-o", "args"], 30_000)).output;
}

describe("execSync", () => {
  test("answers output and exit code", async () => {
    const script = "hostname; echo problem >&2; exit 4";
    const result = await host.runtime.execSync(id, ["sh", "-c", script], 30_000);
    expect(result.exitCode).toBe(4);
    expect(result.output.split("\n").sort()).toEqual(["", "inside", "problem"]);
  });

  test("kills what takes too long", async () => {
    const slow = host.runtime.execSync(id, ["sleep", "7777"], 200);
    await expect(slow).rejects.toBeInstanceOf(TimeoutError);
    await eventually("its end", async () => !(await processes()).includes("7777") || undefined);
  });

  test("keeps a bounded part of a flood", async () => {
    const { output } = await host.runtime.execSync(
      id,
      ["sh", "-c", "head -c 5000000 /dev/zero"],
      30_000,
    );
    expect(output.length).toBe(16 * 1024);
  });

  test("does not wait for a process left behind with its output open", async () => {
    const began = performance.now();
    const result = await host.runtime.execSync(
      id,
      ["sh", "-c", "tail -f /dev/null & echo left"],
      30_000,
    );
    expect(result.output).toBe("left\n");
    // Less than containerd 2's shim waits for that output.
    expect(performance.now() - began).toBeLessThan(9_000);
    await host.runtime.execSync(id, ["sh", "-c", "kill $(pidof tail)"], 30_000);
  });

  test("says what is wrong with the command or the container", async () => {
    const missing = host.runtime.execSync(id, ["no-such-command"], 30_000);
    await expect(missing).rejects.toThrow('exec: "no-such-command": executable file not found');
    const gone = host.runtime.execSync("0".repeat(64), ["true"], 30_000);
    await expect(gone).rejects.toBeInstanceOf(RuntimeError);
    const ended = await host.runtime.run(host.spec("true"));
    await host.event((each) => each.type === "exit" && each.containerId === ended.id);
    await expect(host.runtime.execSync(ended.id, ["true"], 30_000)).rejects.toThrow("not");
    await host.runtime.remove([ended.id]);
  });
});

describe("exec", () => {
  test("carries output, errors and the exit code apart", async () => {
    const heard = await hear(await exec("echo out; echo err >&2; exit 7"));
    expect(heard.stdout.toString()).toBe("out\n");
    expect(heard.stderr).toBe("err\n");
    expect(heard.status).toEqual({
      metadata: {},
      status: "Failure",
      message: "command terminated with non-zero exit code: exit status 7",
      reason: "NonZeroExitCode",
      details: { causes: [{ reason: "ExitCode", message: "7" }] },
    } as Heard["status"]);
    expect((await hear(await exec("true"))).status.status).toBe("Success");
  });

  test("hands over input until its end", async () => {
    const channel = await exec("wc -c; echo done", { stdin: true });
    const heard = hear(channel);
    await channel.send(message(0, "four"));
    await channel.send(message(255, Uint8Array.of(0)));
    expect((await heard).stdout.toString()).toBe("4\ndone\n");
  });

  test("a client that only ends its side ends the input", async () => {
    const channel = await exec("cat; echo done", { stdin: true });
    const heard = hear(channel);
    await channel.send(message(0, "x\n"));
    channel.end();
    expect((await heard).stdout.toString()).toBe("x\ndone\n");
  });

  test("20 MB go through and come back unchanged", async () => {
    const channel = await exec("cat", { stdin: true });
    const sent = new Bun.CryptoHasher("sha256");
    const heard = hear(channel);
    for (let i = 0; i < 640; i++) {
      const piece = crypto.getRandomValues(new Uint8Array(32 * 1024));
      sent.update(piece);
      await channel.send(message(0, piece));
    }
    await channel.send(message(255, Uint8Array.of(0)));
    const { stdout } = await heard;
    expect(stdout.length).toBe(640 * 32 * 1024);
    expect(new Bun.CryptoHasher("sha256").update(stdout).digest("hex")).toBe(sent.digest("hex"));
  });

  test("a reader that does not read stops the writer", async () => {
    const channel = await exec("yes | head -c 50000000; echo end >&2");
    const before = process.memoryUsage().rss;
    // Long enough for all of it to arrive if nothing held it back.
    await Bun.sleep(300);
    expect(process.memoryUsage().rss - before).toBeLessThan(30_000_000);
    const heard = await hear(channel);
    expect(heard.stdout.length).toBe(50_000_000);
    expect(heard.stderr).toBe("end\n");
  });

  test("a terminal with its size", async () => {
    const channel = await exec("tty; read x; stty size; echo $TERM", { tty: true, stdin: true });
    const heard = hear(channel);
    await channel.send(message(4, JSON.stringify({ Width: 100, Height: 40 })));
    await channel.send(message(0, "go\n"));
    const { stdout, status } = await heard;
    expect(stdout.toString()).toContain("/dev/pts/");
    expect(stdout.toString()).toContain("40 100\r\nxterm");
    expect(status.status).toBe("Success");
  });

  test("a client that leaves takes its process along", async () => {
    const channel = await exec("sleep 4444", { stdin: true });
    await eventually("its start", async () => (await processes()).includes("4444") || undefined);
    channel.abort("client gone");
    await eventually("its end", async () => !(await processes()).includes("4444") || undefined);
  });

  test("a command that ends without reading its input leaves nothing behind", async () => {
    const before = readdirSync("/proc/self/fd").length;
    for (let i = 0; i < 20; i++) {
      const channel = await exec("exit 3", { stdin: true });
      const { over } = pour(channel);
      const { status } = await hear(channel);
      expect(status.reason).toBe("NonZeroExitCode");
      // As a client that has its answer: what it sent on was taken until then.
      channel.abort("the client has its answer");
      expect(await over).toBe("the client has its answer");
    }
    await descriptorsBack(before);
  });

  test("a client that leaves while its input is not read takes its process along", async () => {
    const before = readdirSync("/proc/self/fd").length;
    const channel = await exec("sleep 5555", { stdin: true });
    const { over, stuck } = pour(channel);
    await eventually("its start", async () => (await processes()).includes("5555") || undefined);
    await stuck();
    channel.abort("client gone");
    expect(await over).toBe("client gone");
    await eventually("its end", async () => !(await processes()).includes("5555") || undefined);
    await descriptorsBack(before);
  });

  test("a command that is not there fails by its status", async () => {
    const channel = await host.runtime.exec(id, {
      command: ["no-such-command"],
      tty: false,
      stdin: false,
    });
    const { status } = await hear(channel);
    expect(status.status).toBe("Failure");
    expect(status.message).toContain("executable file not found");
  });

  test("pipes of an agent that died are swept away by the next one", async () => {
    const dir = `${host.containerd.dir}/run/exec/exec-${2 ** 30}-1-0`;
    await mkdir(dir, { recursive: true });
    await host.another().execSync(id, ["true"], 30_000);
    expect(existsSync(dir)).toBe(false);
  });

  test("50 at once, and nothing is left of them", async () => {
    const open = readdirSync("/proc/self/fd").length;
    const all = await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const channel = await exec(`cat; exit ${i}`, { stdin: true });
        const heard = hear(channel);
        await channel.send(message(0, `number ${i}`));
        await channel.send(message(255, Uint8Array.of(0)));
        return heard;
      }),
    );
    all.forEach(({ stdout }, i) => void expect(stdout.toString()).toBe(`number ${i}`));
    const left = () => readdirSync(`${host.containerd.dir}/run/exec`).length;
    await eventually("the pipes to go", () => left() === 0 || undefined);
    await descriptorsBack(open);
  }, 360_000);
});

describe("attach", () => {
  test("input and output of a container with stdin, again and again", async () => {
    const spec = host.spec("while read line; do echo got $line; done; echo over", { stdin: true });
    const container = await host.runtime.run(spec);
    for (const word of ["one", "two"]) {
      const channel = await host.runtime.attach(container.id, { tty: false, stdin: true });
      await channel.send(message(0, `${word}\n`));
      const first = await channel.messages[Symbol.asyncIterator]().next();
      expect(Buffer.from(first.value).subarray(1).toString()).toBe(`got ${word}\n`);
      channel.abort("client gone");
    }
    expect((await host.runtime.list()).find((each) => each.id === container.id)?.state).toBe(
      "running",
    );
    await host.runtime.remove([container.id]);
  });

  test("a client that leaves while its input is not read leaves nothing behind", async () => {
    const container = await host.runtime.run(host.spec("sleep 6666", { stdin: true }));
    const before = readdirSync("/proc/self/fd").length;
    for (let i = 0; i < 10; i++) {
      const channel = await host.runtime.attach(container.id, { tty: false, stdin: true });
      const { over, stuck } = pour(channel);
      await stuck();
      channel.abort("client gone");
      expect(await over).toBe("client gone");
    }
    await descriptorsBack(before);
    await host.runtime.remove([container.id]);
  });

  test("stdinOnce closes the input after the first client", async () => {
    const spec = host.spec("cat; echo over", { stdin: true, stdinOnce: true });
    const container = await host.runtime.run(spec);
    const channel = await host.runtime.attach(container.id, { tty: false, stdin: true });
    const heard = hear(channel);
    await channel.send(message(0, "x\n"));
    channel.end();
    expect((await heard).stdout.toString()).toBe("x\nover\n");
    await host.runtime.remove([container.id]);
  });

  test("a terminal", async () => {
    const spec = host.spec("read x; echo it was $x; stty size", { stdin: true, tty: true });
    const container = await host.runtime.run(spec);
    const channel = await host.runtime.attach(container.id, { tty: true, stdin: true });
    const heard = hear(channel);
    await channel.send(message(4, JSON.stringify({ Width: 90, Height: 30 })));
    await channel.send(message(0, "typed\n"));
    expect((await heard).stdout.toString()).toContain("it was typed\r\n30 90\r\n");
    await host.runtime.remove([container.id]);
  });
});
