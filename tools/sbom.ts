/**
 * Prints a bill of materials, CycloneDX 1.6 as JSON: `bun tools/sbom.ts [BUNDLE]`. It has the
 * packages of bun.lock, the runtime, and with the folder of a bundle also the programs and Debian
 * packages in it. The same sources give the same bytes: there is no time and nothing random in it.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import pkg from "../package.json";
import { sha256Of } from "../src/main/release/verify.ts";
import { idOf, lockedPackages, ownNeeds } from "./sbom/packages.ts";

const ROOT = join(import.meta.dir, "..");

interface Component {
  type: string;
  "bom-ref": string;
  name: string;
  version?: string;
  scope?: "required" | "excluded";
  hashes?: { alg: string; content: string }[];
  licenses?: ({ license: { id: string } } | { expression: string })[];
  purl?: string;
}

/** purl has the scope of npm as its namespace, with its @ encoded. */
const npmUrl = (id: string): string => `pkg:npm/${id.replace(/^@/, "%40")}`;

const licensed = (text: string | undefined): Pick<Component, "licenses"> => {
  if (text === undefined) return {};
  return { licenses: [/ /.test(text) ? { expression: text } : { license: { id: text } }] };
};

const runtime: Component = {
  type: "platform",
  "bom-ref": `bun@${pkg.devDependencies["@types/bun"]}`,
  name: "bun",
  version: pkg.devDependencies["@types/bun"],
  scope: "required",
  ...licensed("MIT"),
  purl: npmUrl(`bun@${pkg.devDependencies["@types/bun"]}`),
};

async function hashed(path: string): Promise<Pick<Component, "hashes">> {
  return { hashes: [{ alg: "SHA-256", content: await sha256Of(path) }] };
}

function fieldOf(path: string, field: string): string {
  const { stdout, success } = Bun.spawnSync(["dpkg-deb", "--field", path, field]);
  if (!success) throw new Error(`${path}: no field ${field}`);
  return stdout.toString().trim();
}

async function debOf(path: string): Promise<Component> {
  const [name, version, arch] = ["Package", "Version", "Architecture"].map((field) =>
    fieldOf(path, field),
  ) as [string, string, string];
  const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${arch}`;
  const common = { name, version, scope: "required" as const };
  return { type: "library", "bom-ref": purl, ...common, ...(await hashed(path)), purl };
}

async function fileOf(bundle: string, name: string): Promise<Component> {
  const path = join(bundle, name);
  return {
    type: "file",
    "bom-ref": `file:${name}`,
    name,
    scope: "required",
    ...(await hashed(path)),
  };
}

const namesIn = (dir: string): string[] => (existsSync(dir) ? readdirSync(dir).sort() : []);

async function bundled(bundle: string): Promise<Component[]> {
  const programs = [
    "nerdctl",
    ...["cni", "etcd"].flatMap((dir) => namesIn(join(bundle, dir)).map((name) => `${dir}/${name}`)),
  ].filter((name) => existsSync(join(bundle, name)));
  const debs = namesIn(join(bundle, "debs")).map((name) => debOf(join(bundle, "debs", name)));
  return Promise.all([...programs.map((name) => fileOf(bundle, name)), ...debs]);
}

/** A UUID made of the content (RFC 9562, version 8): equal content has an equal number. */
function serialOf(content: string): string {
  const hex = new Bun.CryptoHasher("sha256").update(content).digest("hex");
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
  ];
  return `urn:uuid:${parts.join("-")}-${hex.slice(20, 32)}`;
}

async function billOf(bundle: string | undefined): Promise<string> {
  const packages = lockedPackages(ROOT);
  const locked = packages.map(
    (each): Component => ({
      type: "library",
      "bom-ref": idOf(each),
      name: each.name,
      version: each.version,
      scope: each.isShipped ? "required" : "excluded",
      hashes: [{ alg: "SHA-512", content: each.sha512 }],
      ...licensed(each.license),
      purl: npmUrl(idOf(each)),
    }),
  );
  const others = bundle === undefined ? [] : await bundled(bundle);
  const own = idOf(pkg);
  const needs = [runtime["bom-ref"], ...ownNeeds(ROOT, packages)];
  const body = {
    metadata: {
      component: {
        type: "application",
        "bom-ref": own,
        name: pkg.name,
        version: pkg.version,
        description: pkg.description,
        ...licensed(pkg.license),
        purl: `pkg:generic/${own}`,
      },
    },
    components: [runtime, ...locked, ...others],
    dependencies: [
      { ref: own, dependsOn: [...needs, ...others.map((each) => each["bom-ref"])] },
      ...packages.map((each) => ({ ref: idOf(each), dependsOn: each.needs })),
    ],
  };
  const serialNumber = serialOf(JSON.stringify(body));
  const head = { bomFormat: "CycloneDX", specVersion: "1.6", serialNumber, version: 1 };
  return `${JSON.stringify({ ...head, ...body }, undefined, 2)}\n`;
}

process.stdout.write(await billOf(process.argv[2]));
