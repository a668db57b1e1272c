/** Secrets at rest: the datastore's files never hold what is in them, whatever order things come in. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mustRun } from "#test/support/instance.ts";
import { BRAMBLE } from "#test/support/lab.ts";
import { type PlainServer, plainServer } from "#test/support/plainserver.ts";

let server: PlainServer;
beforeEach(async () => {
  server = await plainServer();
});
afterEach(() => server?.close());

const PLAIN = "correct-horse-battery";

/** Files of the datastore that hold the text, plain or as the API has it. */
function filesWith(text: string): string[] {
  const forms = [text, Buffer.from(text).toString("base64").replace(/=+$/, "")];
  return readdirSync(server.dataDir).filter((name) => {
    if (!name.startsWith("state.db")) return false;
    const bytes = readFileSync(join(server.dataDir, name));
    return forms.some((form) => bytes.includes(form));
  });
}

const keyFile = (): string => join(server.dataDir, "encryption-keys");
const value = (name: string): Promise<string> =>
  server.must("get", "secret", name, "-o", "jsonpath={.data.a}");
const encoded = (text: string): string => Buffer.from(text).toString("base64");

test("Secrets are encrypted when asked, and read with the right key only", async () => {
  await server.start();
  await server.must("create", "secret", "generic", "old", `--from-literal=a=${PLAIN}`);
  expect(filesWith(PLAIN)).not.toEqual([]);
  await server.stop();

  await server.start("--encrypt-secrets");
  expect(filesWith(PLAIN)).toEqual([]);
  await server.must("create", "secret", "generic", "new", `--from-literal=a=${PLAIN}-2`);
  await server.must("create", "configmap", "map", "--from-literal=a=not-a-secret");
  await server.stop("SIGKILL");
  expect(filesWith(PLAIN)).toEqual([]);
  expect(filesWith("not-a-secret")).not.toEqual([]);

  renameSync(keyFile(), `${keyFile()}.away`);
  const missing = await server.fails("--encrypt-secrets");
  expect(missing.exitCode).toBe(1);
  expect(missing.stderr).toContain("Secrets are encrypted, but their key file");
  writeFileSync(keyFile(), `00000000:${Buffer.alloc(32).toString("base64")}\n`);
  expect((await server.fails("--encrypt-secrets")).stderr).toContain("is not in the key file");
  const [id = ""] = readFileSync(`${keyFile()}.away`, "utf8").split(":");
  writeFileSync(keyFile(), `${id}:${Buffer.alloc(32).toString("base64")}\n`);
  expect((await server.fails("--encrypt-secrets")).stderr).toContain("does not fit");
  writeFileSync(keyFile(), "nonsense");
  expect((await server.fails("--encrypt-secrets")).stderr).toContain("is damaged");

  renameSync(`${keyFile()}.away`, keyFile());
  await server.start("--encrypt-secrets");
  expect([await value("old"), await value("new")]).toEqual([encoded(PLAIN), encoded(`${PLAIN}-2`)]);
  await server.stop();

  await server.start();
  expect(await value("old")).toBe(encoded(PLAIN));
  expect(filesWith(PLAIN)).not.toEqual([]);
}, 270_000);

test("keys are rotated at once, or when the server is started again", async () => {
  await server.start("--encrypt-secrets");
  await server.must("create", "secret", "generic", "one", `--from-literal=a=${PLAIN}`);
  const rotate = () => mustRun([BRAMBLE, "secrets", "rotate-key", "--data-dir", server.dataDir]);
  const sealedWith = (): string[] => {
    const bytes = readdirSync(server.dataDir)
      .filter((name) => name.startsWith("state.db"))
      .map((name) => readFileSync(join(server.dataDir, name)).toString("latin1"))
      .join("");
    return [...new Set([...bytes.matchAll(/aes-gcm:([0-9a-f]{8}):/g)].map(([, id = ""]) => id))];
  };
  const [first = ""] = sealedWith();
  expect(await rotate()).toContain("when it is started again");
  expect(sealedWith()).toEqual([first]);
  await server.stop();
  await server.start("--encrypt-secrets");
  const [second = "", ...others] = sealedWith();
  expect(others).toEqual([]);
  expect(second).not.toBe(first);
  await server.stop();
  expect(await rotate()).toContain("all Secrets are encrypted with it");
  expect(sealedWith()).not.toContain(second);
  await server.start("--encrypt-secrets");
  expect(await value("one")).toBe(encoded(PLAIN));
}, 270_000);
