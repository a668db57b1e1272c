/**
 * A virtual machine (test/lab/vm) that starts containerd, a registry and `bramble server` at each
 * boot, and whose unsynced writes die with a cut.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "#test/support/instance.ts";

const ROOT = join(import.meta.dir, "../..");
const VM = join(ROOT, "test/lab/vm");
const MKIMAGE = join(ROOT, "test/lab/mkimage");
const BINARY = process.env["BRAMBLE_BINARY"] ?? join(ROOT, "dist/bramble");
const REGISTRY_PORT = 5_000;
const DATA_FILES = 20;
const DATA_FILE_BYTES = 100_000;
/** Programs in the machine are twenty times slower than here. */
const COMMAND_MS_MAX = 120_000;

export const imageName = (tag: number): string => `localhost:${REGISTRY_PORT}/power:${tag}`;

const containerd = `version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri"]
oom_score = 0
`;

const registry = (dir: string, port: number, readOnly: boolean): string => `version: 0.1
log: { level: error }
storage:
  filesystem: { rootdirectory: ${dir}/registry }
  maintenance: { readonly: { enabled: ${readOnly} } }
http: { addr: 127.0.0.1:${port} }
`;

const bootScript = (dir: string, flags: string): string => `#!/bin/sh
docker-registry serve ${dir}/registry.yml >/var/log/registry.log 2>&1 &
containerd --config ${dir}/containerd.toml --log-level warn >>/var/log/containerd.log 2>&1 &
until [ -S /run/containerd/containerd.sock ]; do sleep 0.1; done
exec ${BINARY} server --data-dir /var/lib/bramble --node-ip 10.0.2.15 \\
  --disable ingress,discovery,storage ${flags} >>/var/log/bramble.log 2>&1
`;

async function must(argv: readonly string[], stdin?: string): Promise<string> {
  const timeoutMs = COMMAND_MS_MAX;
  const result = await run(argv, { timeoutMs, ...(stdin !== undefined && { stdin }) });
  if (result.exitCode === 0) return result.stdout;
  throw new Error(`${argv.join(" ")}: status ${result.exitCode}: ${result.stderr}`);
}

/** An image whose program ends at once unless every file of it has the content it was made with. */
async function makeImage(dir: string, tag: number): Promise<string> {
  const files: string[] = [];
  let sums = "";
  for (let i = 0; i < DATA_FILES; i++) {
    const bytes = crypto.getRandomValues(new Uint8Array(DATA_FILE_BYTES / 2));
    const data = Buffer.from(bytes).toString("hex");
    writeFileSync(`${dir}/data${i}`, data);
    sums += `${new Bun.CryptoHasher("md5").update(data).digest("hex")}  /data/${i}\n`;
    files.push("--file", `${dir}/data${i}:/data/${i}`);
  }
  writeFileSync(`${dir}/sums`, sums);
  const tar = `${dir}/image${tag}.tar`;
  const script = "md5sum -c -s /sums && echo whole && exec sleep 1000000";
  const command = ["--cmd", "sh", "-c", script];
  await must([MKIMAGE, imageName(tag), tar, ...files, "--file", `${dir}/sums:/sums`, ...command]);
  return tar;
}

/** Fills the registry here: there it is only read. */
async function fillRegistry(dir: string, count: number): Promise<void> {
  const port = 21_000 + (process.pid % 1_000);
  writeFileSync(`${dir}/fill.yml`, registry(dir, port, false));
  const server = Bun.spawn(["docker-registry", "serve", `${dir}/fill.yml`], {
    stdout: "ignore",
    stderr: "ignore",
  });
  try {
    for (let tag = 0; tag < count; tag++) {
      const tar = await makeImage(dir, tag);
      const to = `docker://127.0.0.1:${port}/power:${tag}`;
      const retries = ["--retry-times", "5"];
      const copy = ["skopeo", "copy", "-q", "--dest-tls-verify=false", ...retries];
      await must([...copy, `docker-archive:${tar}`, to]);
      rmSync(tar);
    }
  } finally {
    server.kill("SIGKILL");
    await server.exited;
  }
}

export class Machine {
  readonly #name: string;
  readonly #dir: string;
  readonly #port: number;

  private constructor(name: string, dir: string, port: number) {
    this.#name = name;
    this.#dir = dir;
    this.#port = port;
  }

  /** On when it is made, with `images` images in its registry; `flags` are the server's. */
  static async make(images: number, flags = ""): Promise<Machine> {
    // Seen in the machine, which has a /tmp and a /var/lib of its own.
    mkdirSync("/opt", { recursive: true });
    const dir = mkdtempSync("/opt/bramble-power-");
    const port = 22_000 + (process.pid % 1_000);
    const self = new Machine(`power-${process.pid}`, dir, port);
    try {
      await fillRegistry(dir, images);
      writeFileSync(`${dir}/registry.yml`, registry(dir, REGISTRY_PORT, true));
      writeFileSync(`${dir}/containerd.toml`, containerd);
      writeFileSync(`${dir}/rc.local`, bootScript(dir, flags));
      chmodSync(`${dir}/rc.local`, 0o755);
      const forward = ["--forward", `${port}:6443`];
      await must([VM, "up", self.#name, "--mem", "1G", "--cpus", "2", ...forward]);
      const start = "setsid /etc/rc.local </dev/null >>/var/log/rc.local.log 2>&1 &";
      const install = `cp ${dir}/rc.local /etc/rc.local && sync && (${start})`;
      await self.exec(["sh", "-c", install]);
      return self;
    } catch (error) {
      await self.close();
      throw error;
    }
  }

  exec(argv: readonly string[]): Promise<string> {
    return must([VM, "exec", this.#name, "--", ...argv]);
  }

  boot(): Promise<string> {
    return must([VM, "boot", this.#name]);
  }

  cut(): Promise<string> {
    return must([VM, "cut", this.#name]);
  }

  /** After the first boot, once the server is there. */
  async takeKubeconfig(): Promise<void> {
    const text = await this.exec(["cat", "/var/lib/bramble/kubeconfig"]);
    const here = text.replace(/server: .*/, `server: "https://127.0.0.1:${this.#port}"`);
    writeFileSync(`${this.#dir}/kubeconfig`, here, { mode: 0o600 });
  }

  kubectl(argv: readonly string[], stdin?: string): Promise<string> {
    const flags = ["--kubeconfig", `${this.#dir}/kubeconfig`, "--request-timeout=15s"];
    return must(["kubectl", ...flags, ...argv], stdin);
  }

  async log(): Promise<string> {
    const files = ["/var/log/bramble.log", "/var/log/containerd.log", "/var/log/registry.log"];
    return this.exec(["tail", "-n", "40", ...files]).catch(String);
  }

  async close(): Promise<void> {
    await run([VM, "down", this.#name]);
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
