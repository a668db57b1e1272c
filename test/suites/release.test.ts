/** Two builds of one commit have the same bytes. What a key signs is verified by its programs. */
import { afterAll, expect, test } from "bun:test";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mustRun } from "#test/support/instance.ts";
import { sha256Of } from "../../src/main/release/verify.ts";

const ROOT = join(import.meta.dir, "../..");
const dir = mkdtempSync(join(tmpdir(), "bramble-release-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const tool = (...words: string[]) => mustRun(["bun", join(ROOT, "tools/release.ts"), ...words]);

/** Builds from a copy of the sources in a folder of its own. */
async function buildIn(name: string): Promise<string> {
  const at = join(dir, name);
  mkdirSync(at);
  for (const part of ["src", "agents", "tools", "package.json", "tsconfig.json", "bunfig.toml"]) {
    cpSync(join(ROOT, part), join(at, part), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(at, "node_modules"));
  await mustRun(["env", "--chdir", at, "bun", "tools/build.ts", "dist/bramble"]);
  return join(at, "dist/bramble");
}

test("builds in two folders have the same bytes", async () => {
  const first = await buildIn("first");
  const second = await buildIn("a-longer-name");
  expect(await sha256Of(second)).toBe(await sha256Of(first));
}, 60_000);

test("a program accepts files that are signed with the key that it was built with", async () => {
  const keyFile = join(dir, "keys/release.key");
  const key = (await tool("key", keyFile)).trim();
  expect(await tool("key", keyFile)).toBe(`${key}\n`);
  expect(statSync(keyFile).mode & 0o777).toBe(0o600);
  const program = join(dir, "bramble");
  const variables = ["--chdir", ROOT, `BRAMBLE_RELEASE_KEYS=${key}`];
  await mustRun(["env", ...variables, "bun", "tools/build.ts", program]);
  expect(await mustRun([program, "verify", "--keys"])).toBe(`${key}\n`);
  const file = join(dir, "file");
  writeFileSync(file, "content");
  await tool("sign", keyFile, "archive", "0.2.0", "arm64", file);
  const said = await mustRun([program, "verify", file]);
  expect(said).toBe(`${file}: archive of version 0.2.0 for arm64, signed with a trusted key\n`);
  writeFileSync(file, "changed");
  await expect(mustRun([program, "verify", file])).rejects.toThrow(
    "its signature is of another file",
  );
}, 60_000);

test("a build with a malformed key fails", async () => {
  const argv = [
    "env",
    "--chdir",
    ROOT,
    "BRAMBLE_RELEASE_KEYS=x",
    "bun",
    "tools/build.ts",
    join(dir, "x"),
  ];
  await expect(mustRun(argv)).rejects.toThrow("must be Ed25519 public keys");
});
