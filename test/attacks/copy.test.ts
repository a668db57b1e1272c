/**
 * bramble cp from a container that is not trusted: whatever archive its tar sends, nothing outside
 * of the target is written, linked or made.
 */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { type Listener, listen } from "#api/listener.ts";
import type { NodeLink } from "#api/nodes.ts";
import { type Channel, channelPair } from "#base/channel.ts";
import { silentLog } from "#base/log.ts";
import { ExitStatus } from "#cli/verb.ts";
import { define } from "#cli/verbs/cp.ts";
import { ADMIN_TOKEN, startApi, type TestApi } from "#test/support/api.ts";

interface Member {
  name: string;
  type?: string;
  link?: string;
  data?: string;
  mode?: number;
  /** Said, and not sent. */
  size?: number;
}

function memberOf({ name, type = "0", link = "", data = "", mode = 0o644, size }: Member): Buffer {
  const header = Buffer.alloc(512);
  const bytes = Buffer.from(data);
  const put = (text: string, at: number) => header.write(text, at, "latin1");
  const octal = (value: number, width: number) => `${value.toString(8).padStart(width - 1, "0")}\0`;
  put(name, 0);
  put(octal(mode, 8), 100);
  put(octal(size ?? bytes.length, 12), 124);
  put(octal(1_000_000_000, 12), 136);
  put(" ".repeat(8), 148);
  put(type, 156);
  put(link, 157);
  put("ustar\x0000", 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(octal(sum, 7), 148);
  return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

const archiveOf = (members: readonly Member[]): Buffer =>
  Buffer.concat([...members.map(memberOf), Buffer.alloc(1024)]);

const record = (key: string, value: string): string => {
  const rest = ` ${key}=${value}\n`;
  const length = rest.length + String(rest.length + 2).length;
  return `${length}${rest}`;
};

let api: TestApi;
let listener: Listener;
/** What the container's tar sends, and whether the path is a folder there. */
let archive: Buffer;
let isFolder = true;

async function answer(channel: Channel, command: readonly string[]): Promise<void> {
  const fails = command[0] === "test" && !isFolder;
  if (command[0] === "tar") {
    for (let at = 0; at < archive.length; at += 32_768) {
      await channel.send(Buffer.concat([Uint8Array.of(1), archive.subarray(at, at + 32_768)]));
    }
  }
  const causes = [{ reason: "ExitCode", message: "1" }];
  const status = fails
    ? { status: "Failure", reason: "NonZeroExitCode", details: { causes } }
    : { status: "Success" };
  await channel.send(Buffer.concat([Uint8Array.of(3), Buffer.from(JSON.stringify(status))]));
  channel.end();
}

const link: NodeLink = {
  fetch: async () => new Response(""),
  async open(path) {
    const [inside, outside] = channelPair();
    void answer(inside, new URL(path, "http://node").searchParams.getAll("command")).catch(
      () => {},
    );
    return outside;
  },
};

let dir: string;
let outside: string;
let target: string;

beforeAll(async () => {
  api = await startApi({ nodeLinks: { link: () => link, appears: async () => link } });
  listener = listen({ fetch: api.api.fetch, hostname: "127.0.0.1", port: 0, log: silentLog });
  const spec = { nodeName: "n1", containers: [{ name: "main", image: "i:1" }] };
  await api.create("/api/v1/namespaces/default/pods", {
    metadata: { name: "one" },
    spec,
  } as object);
  dir = mkdtempSync(join(tmpdir(), "bramble-attack-"));
});

afterAll(async () => {
  await listener.stop();
  await api.close();
  rmSync(dir, { recursive: true });
});

let round = 0;

beforeEach(() => {
  isFolder = true;
  const here = join(dir, String(round++));
  outside = join(here, "outside");
  target = join(here, "in", "target");
  mkdirSync(outside, { recursive: true });
  mkdirSync(join(here, "in"));
  writeFileSync(join(outside, "secret"), "secret");
});

async function cp(members: readonly Member[], path?: string): Promise<string> {
  archive = archiveOf(members);
  let said = "";
  const command = new Command().exitOverride();
  const say = (text: string | Uint8Array) => {
    said += text;
  };
  define(command, {
    out: say,
    err: say,
    env: { HOME: dir },
    stdin: async () => "",
    stdoutIsTerminal: false,
    now: () => 0,
    version: "0",
  });
  const server = `http://127.0.0.1:${listener.port}`;
  // A path that ends in a dot copies the content into an existing folder.
  const from = `one:${path ?? (isFolder && existsSync(target) ? "/data/." : "/data")}`;
  const argv = [from, target, "--server", server, "--token", ADMIN_TOKEN];
  try {
    await command.parseAsync(argv, { from: "user" });
  } catch (error) {
    if (!(error instanceof ExitStatus)) throw error;
  }
  return said;
}

function expectUntouched(): void {
  expect(readdirSync(outside)).toEqual(["secret"]);
  expect(readFileSync(join(outside, "secret"), "utf8")).toBe("secret");
  expect(lstatSync(join(outside, "secret")).nlink).toBe(1);
  expect(readdirSync(join(outside, "..")).sort()).toEqual(["in", "outside"]);
  expect(readdirSync(join(outside, "../in"))).toEqual(["target"]);
}

/** Returns all paths below the target. `!` marks an entry that is neither a file nor a folder. */
function below(path = target): string[] {
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
    if (entry.isDirectory()) return below(join(path, entry.name));
    return [`${join(path, entry.name).slice(target.length + 1)}${entry.isFile() ? "" : " !"}`];
  });
}

test("an honest archive comes as it is", async () => {
  const long = `${"long/".repeat(40)}file`;
  const said = await cp([
    { name: "./", type: "5", mode: 0o755 },
    { name: "./a", data: "one", mode: 0o4755 },
    { name: "./deep/er/b", data: "x".repeat(100_000) },
    { name: "././@LongLink", type: "L", data: `${long}\0` },
    { name: long.slice(0, 100), data: "long" },
    { name: "x", type: "x", data: record("path", "./pax") },
    { name: "short", data: "attributes" },
    { name: "./same", type: "1", link: "./a" },
  ]);
  expect(said).toBe("");
  expect(below().sort()).toEqual(["a", "deep/er/b", long, "pax", "same"].sort());
  expect(readFileSync(join(target, "same"), "utf8")).toBe("one");
  expect(readFileSync(join(target, "deep/er/b"), "utf8")).toBe("x".repeat(100_000));
  // No right beyond those of who copies.
  expect(statSync(join(target, "a")).mode & 0o7777).toBe(0o755);
  expect(statSync(join(target, "a")).mtimeMs).toBe(1_000_000_000_000);
  expectUntouched();
});

test("names lead nowhere else", async () => {
  await cp([
    { name: "../evil", data: "x" },
    { name: "a/../../evil", data: "x" },
    { name: join(outside, "evil"), data: "x" },
    { name: "././@LongLink", type: "L", data: "../../outside/evil\0" },
    { name: "plain", data: "x" },
    { name: "x", type: "x", data: record("path", "../evil") },
    { name: "plain", data: "x" },
    { name: "../folder", type: "5" },
    { name: "ok", data: "x" },
  ]);
  expect(below()).toEqual(["ok"]);
  expectUntouched();
});

test("a link that comes first is not gone through", async () => {
  await cp([
    { name: "d", type: "2", link: outside },
    { name: "d/evil", data: "x" },
    { name: "f", type: "2", link: join(outside, "secret") },
    { name: "f", data: "evil" },
    { name: "up", type: "2", link: "../../outside" },
    { name: "up/evil", data: "x" },
  ]);
  expectUntouched();
  expect(below().filter((name) => name.endsWith("!"))).toEqual([]);
});

test("a link that an earlier copy left is not gone through", async () => {
  await cp([
    { name: "./", type: "5" },
    { name: "f", type: "2", link: join(outside, "secret") },
    { name: "d", type: "2", link: outside },
  ]);
  await cp([{ name: "f", data: "evil" }]);
  expectUntouched();
  await cp([{ name: "d/evil", data: "evil" }]);
  expectUntouched();
});

test("a link that is there already is replaced, not gone through", async () => {
  mkdirSync(target);
  symlinkSync(join(outside, "secret"), join(target, "f"));
  symlinkSync(outside, join(target, "d"));
  writeFileSync(join(target, "h"), "mine");
  linkSync(join(target, "h"), join(target, "twin"));
  const said = await cp([
    { name: "f", data: "evil" },
    { name: "h", data: "evil" },
  ]);
  expect(said).toBe("");
  expect(readFileSync(join(target, "twin"), "utf8")).toBe("mine");
  expect(readFileSync(join(target, "f"), "utf8")).toBe("evil");
  expectUntouched();
  await cp([{ name: "d/evil", data: "x" }]);
  await cp([{ name: "d", type: "5" }]);
  expectUntouched();
});

test("a hard link leads to nothing that was there before", async () => {
  mkdirSync(target);
  writeFileSync(join(target, "mine"), "mine");
  await cp([
    { name: "h1", type: "1", link: join(outside, "secret") },
    { name: "h2", type: "1", link: "../../outside/secret" },
    { name: "h3", type: "1", link: "mine" },
    { name: "h3", data: "evil" },
  ]);
  expect(readFileSync(join(target, "mine"), "utf8")).toBe("mine");
  expect(existsSync(join(target, "h1")) || existsSync(join(target, "h2"))).toBe(false);
  expectUntouched();
});

test.each(["/data/..", "..", "/", "/data/../..", "."])(
  "%s does not leave the target",
  async (path) => {
    mkdirSync(target);
    await cp([{ name: "ok", data: "x" }], path);
    expectUntouched();
    expect(below()).toHaveLength(1);
  },
);

test("no device and no pipe is made", async () => {
  await cp([
    { name: "p", type: "6" },
    { name: "c", type: "3" },
    { name: "b", type: "4" },
    { name: "ok", data: "x" },
  ]);
  expect(below()).toEqual(["ok"]);
});

test("for a file only a file comes, by its own name", async () => {
  isFolder = false;
  await cp([{ name: "data", type: "2", link: join(outside, "secret") }]);
  expect(existsSync(target)).toBe(false);
  await cp([
    { name: "data", data: "good" },
    { name: "other", data: "evil" },
    { name: "data", data: "evil" },
  ]);
  expect(readFileSync(target, "utf8")).toBe("good");
  expectUntouched();
  rmSync(target);
  symlinkSync(join(outside, "secret"), target);
  await cp([{ name: "data", data: "evil" }]);
  expect(lstatSync(target).isFile()).toBe(true);
  expectUntouched();
});

test.each<[string, Member[]]>([
  ["a header of a terabyte", [{ name: "x", type: "x", size: 8 ** 11 - 1 }]],
  ["a long name without an end", [{ name: "x", type: "L", size: 10_000_000, data: "x" }]],
  ["a file that is not all there", [{ name: "x", size: 10_000_000, data: "x" }]],
  ["a record of a negative length", [{ name: "x", type: "x", data: "-5 path=x\n" }]],
])("%s is an error", async (_, members) => {
  expect(await cp(members)).toStartWith("error: the container sent a broken archive");
  expect(existsSync(target) ? below() : []).toEqual([]);
});
