/** The bill of materials has each package of the lock file, and is the same each time. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { mustRun } from "#test/support/instance.ts";

const ROOT = join(import.meta.dir, "../..");
const dir = mkdtempSync(join(tmpdir(), "bramble-sbom-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const license = z.union([
  z.strictObject({ license: z.strictObject({ id: z.string().regex(/^[A-Za-z0-9.-]+$/) }) }),
  z.strictObject({ expression: z.string() }),
]);
/** What the schema of CycloneDX 1.6 says of the parts that are used. */
const component = z.strictObject({
  type: z.enum(["application", "library", "platform", "file"]),
  "bom-ref": z.string().min(1),
  name: z.string().min(1),
  version: z.string().min(1).optional(),
  description: z.string().optional(),
  scope: z.enum(["required", "excluded"]).optional(),
  hashes: z
    .array(
      z.union([
        z.strictObject({ alg: z.literal("SHA-512"), content: z.string().regex(/^[a-f0-9]{128}$/) }),
        z.strictObject({ alg: z.literal("SHA-256"), content: z.string().regex(/^[a-f0-9]{64}$/) }),
      ]),
    )
    .optional(),
  licenses: z.array(license).length(1).optional(),
  purl: z.string().startsWith("pkg:").optional(),
});
const bill = z.strictObject({
  bomFormat: z.literal("CycloneDX"),
  specVersion: z.literal("1.6"),
  serialNumber: z
    .string()
    .regex(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/),
  version: z.literal(1),
  metadata: z.strictObject({ component }),
  components: z.array(component),
  dependencies: z.array(z.strictObject({ ref: z.string(), dependsOn: z.array(z.string()) })),
});

const print = (...words: string[]) => mustRun(["bun", join(ROOT, "tools/sbom.ts"), ...words]);
const text = await print();
const { components, dependencies, metadata } = bill.parse(JSON.parse(text));

test("each package of the lock file is there, with its digest", () => {
  const lock = readFileSync(join(ROOT, "bun.lock"), "utf8");
  const locked = [...lock.matchAll(/^ {4}"[^"]+": \["([^"]+)",.*"sha512-([^"]+)"\],$/gm)].map(
    ([, id = "", hash = ""]) => `${id} ${Buffer.from(hash, "base64").toString("hex")}`,
  );
  expect(locked.length).toBeGreaterThan(100);
  const found = components
    .filter(({ type }) => type === "library")
    .map((each) => `${each.name}@${each.version} ${each.hashes?.[0]?.content}`);
  expect(found.sort()).toEqual(locked.sort());
});

test("what is part of the program is marked, and has its licence", () => {
  const pkg = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  const required = components.filter(({ scope }) => scope === "required");
  const names = required.map(({ name }) => name);
  for (const name of [...Object.keys(pkg.dependencies), "bun", "luxon"]) {
    expect(names).toContain(name);
  }
  expect(names).not.toContain("typescript");
  expect(required.filter(({ licenses }) => licenses === undefined)).toEqual([]);
  expect(metadata.component).toMatchObject({ name: "bramble", type: "application" });
});

test("references are unique, and each dependency is there", () => {
  const refs = [metadata.component, ...components].map((each) => each["bom-ref"]);
  expect(new Set(refs).size).toBe(refs.length);
  const named = dependencies.flatMap(({ ref, dependsOn }) => [ref, ...dependsOn]);
  expect(named.filter((ref) => !refs.includes(ref))).toEqual([]);
});

test("it is the same each time", async () => {
  expect(await print()).toBe(text);
  expect(text).not.toContain(ROOT);
});

test("with a bundle it has the programs and packages in it", async () => {
  mkdirSync(join(dir, "deb/DEBIAN"), { recursive: true });
  const fields = "Package: runc\nVersion: 1:1.1+ds1\nArchitecture: arm64\n";
  const control = `${fields}Maintainer: x <x@example.org>\nDescription: x\n`;
  writeFileSync(join(dir, "deb/DEBIAN/control"), control);
  mkdirSync(join(dir, "bundle/debs"), { recursive: true });
  mkdirSync(join(dir, "bundle/cni"));
  writeFileSync(join(dir, "bundle/cni/bridge"), "");
  await mustRun(["dpkg-deb", "--build", join(dir, "deb"), join(dir, "bundle/debs/runc.deb")]);
  const more = bill.parse(JSON.parse(await print(join(dir, "bundle"))));
  const added = more.components.slice(components.length);
  expect(added.map(({ purl, name }) => purl ?? name)).toEqual([
    "cni/bridge",
    "pkg:deb/debian/runc@1%3A1.1%2Bds1?arch=arm64",
  ]);
  expect(added[0]?.hashes?.[0]?.content).toBe(new Bun.CryptoHasher("sha256").digest("hex"));
});
