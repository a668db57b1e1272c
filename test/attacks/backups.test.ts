/** Replaced or modified backups are rejected. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { createCodec } from "#api/codec.ts";
import { encrypt, passwordKey } from "#base/cipher.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { realRandom as random } from "#base/random.ts";
import { kinds } from "#resources/kinds.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import { type ArchivedFile, pack } from "../../src/main/archive.ts";
import { backUp, restore } from "../../src/main/backup.ts";

const PASSWORD = "correct horse battery staple";
const ABOUT = { version: "1", createdAt: "2026-01-01T00:00:00.000Z", objects: 1 };
const FIRST = "bramble backup 1\n";
let dir = "";
let source = "";
let serial = 0;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "bramble-backups-"));
  source = join(dir, "source");
  mkdirSync(join(source, "pki"), { recursive: true });
  writeFileSync(join(source, "pki", "ca.key"), "key");
  writeFileSync(join(source, "admin-token"), "token\n");
  const codec = createCodec(kinds);
  const path = join(source, "state.db");
  const store = await openSqliteStore({ path, codec, clock: realClock, log: silentLog });
  await store.close();
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function made(password: string | undefined): Buffer {
  const file = join(dir, `made-${serial++}`);
  backUp({ dataDir: source, file, password, random, nowMs: 0 });
  return readFileSync(file);
}

/** Returns the error of the restore. Checks that the directory did not change. */
function refused(bytes: Uint8Array, password: string | undefined): string {
  const dataDir = join(dir, `target-${serial++}`);
  const file = `${dataDir}.backup`;
  mkdirSync(dataDir);
  writeFileSync(file, bytes);
  let message = "";
  try {
    restore({ dataDir, file, password, force: false, nowMs: 0 });
  } catch (error) {
    message = error instanceof Error ? error.message : String(error);
  }
  expect(message).not.toBe("");
  const left = readdirSync(dataDir).filter((name) => !name.startsWith("lock"));
  expect(left).toEqual([]);
  return message;
}

/** Recomputes the checksum, as an attacker would. */
function summed(whole: Uint8Array): Buffer {
  return Buffer.concat([whole, createHash("sha256").update(whole).digest()]);
}

const files = (...list: ArchivedFile[]): ArchivedFile[] => [
  { path: "state.db", bytes: Buffer.from("x") },
  ...list,
];

test("a backup is restored with its password", () => {
  const dataDir = join(dir, "good");
  mkdirSync(dataDir);
  const file = join(dir, "good.backup");
  writeFileSync(file, made(PASSWORD));
  restore({ dataDir, file, password: PASSWORD, force: false, nowMs: 0 });
  expect(existsSync(join(dataDir, "pki", "ca.key"))).toBe(true);
});

test("with a password, a backup that is not encrypted is rejected", () => {
  expect(refused(made(undefined), PASSWORD)).toContain("not encrypted");
});

test("another password has its own error, and a forged file another", () => {
  const good = made(PASSWORD);
  expect(refused(good, "guess")).toContain("the password is not the one");
  for (const at of [-33, -60, -200]) {
    const whole = Buffer.from(good.subarray(0, -32));
    const place = whole.length + at + 32;
    whole[place] = (whole[place] ?? 0) ^ 1;
    const message = refused(summed(whole), PASSWORD);
    expect(message).toContain("changed");
  }
});

test("what a backup says of itself is authenticated", () => {
  const text = made(PASSWORD).subarray(0, -32).toString("latin1");
  const other = text.replace('"objects":0', '"objects":7');
  expect(other).not.toBe(text);
  expect(refused(summed(Buffer.from(other, "latin1")), PASSWORD)).toContain("changed");
});

test("truncated, extended and joined files are rejected", () => {
  const whole = made(PASSWORD).subarray(0, -32);
  refused(summed(whole.subarray(0, -1)), PASSWORD);
  refused(summed(whole.subarray(0, 40)), PASSWORD);
  refused(summed(Buffer.concat([whole, Buffer.from("x")])), PASSWORD);
  refused(summed(Buffer.concat([whole, whole])), PASSWORD);
  refused(summed(Buffer.from(FIRST)), PASSWORD);
});

test("odd parameters of the encryption are rejected before they are used", () => {
  const [magic = "", head = "", ...rest] = made(PASSWORD)
    .subarray(0, -32)
    .toString("latin1")
    .split("\n");
  const good = JSON.parse(head) as { sealed: Record<string, unknown> };
  const odd: unknown[] = [null, 7, "", "AA==", "A".repeat(4_000_000), {}, []];
  for (const name of Object.keys(good.sealed)) {
    for (const value of odd) {
      const sealed = { ...good.sealed, [name]: value };
      const text = [magic, JSON.stringify({ ...good, sealed }), ...rest].join("\n");
      const began = performance.now();
      const message = refused(summed(Buffer.from(text, "latin1")), PASSWORD);
      expect(message).toContain("damaged");
      expect(performance.now() - began).toBeLessThan(1_000);
    }
  }
});

test("paths outside of the data directory, and files twice, are rejected", () => {
  const bytes = Buffer.from("x");
  const odd = ["../x", "/etc/x", "pki/../../x", "pki/..", "pki", "pki/a/b", "pki/a\0b", "x"];
  for (const path of [...odd, "pki/.hidden", "pki\\..\\x", "", "admin-token/x"]) {
    const backup = pack(files({ path, bytes }), ABOUT, { password: undefined, random });
    expect(refused(backup, undefined)).toContain("damaged");
  }
  const twice = pack(files({ path: "state.db", bytes }), ABOUT, { password: undefined, random });
  expect(refused(twice, undefined)).toContain("damaged");
});

test("sizes that do not fit the content are rejected", () => {
  const key = { path: "pki/ca.key", size: 3 };
  for (const list of [
    [{ path: "state.db", size: -1 }, key],
    [{ path: "state.db", size: 1e9 }, key],
    [{ path: "state.db", size: "3" }, key],
    [{ path: 7, size: 3 }, key],
    [{ path: "state.db", size: 3 }],
    { path: "state.db" },
    null,
    [null],
  ]) {
    const index = Buffer.from(`${JSON.stringify(list)}\nabcdef`);
    const body = zstdCompressSync(index);
    const head = Buffer.from(`${FIRST}${JSON.stringify(ABOUT)}\n`);
    expect(refused(summed(Buffer.concat([head, body])), undefined)).toContain("damaged");
  }
});

test("an older backup that is encrypted can be read", () => {
  const salt = random.bytes(16);
  const body = zstdCompressSync(Buffer.from(`${JSON.stringify([{ path: "x", size: 0 }])}\n`));
  const box = encrypt(passwordKey(PASSWORD, salt), random.bytes(12), body);
  const text = (part: Uint8Array) => Buffer.from(part).toString("base64");
  const sealed = { salt: text(salt), nonce: text(box.nonce), tag: text(box.tag) };
  const head = Buffer.from(`${FIRST}${JSON.stringify({ ...ABOUT, sealed })}\n`);
  const old = summed(Buffer.concat([head, box.body]));
  expect(refused(old, PASSWORD)).toContain("not those of a server");
  expect(refused(old, "guess")).toContain("password is not the one");
});
