/** A container registry of the test's own: Debian's docker-registry with TLS and a password. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realClock, sleep } from "#base/clock.ts";

export interface TestRegistry {
  /** `localhost:PORT`. */
  readonly host: string;
  readonly username: string;
  readonly password: string;
  /** For `--hosts-dir`: tells of the registry's certificate, and that it mirrors docker.io. */
  readonly hostsDir: string;
  /** What it keeps, for another one that serves it elsewhere. */
  readonly dataDir: string;
  /** Puts an image from a tar file into it. */
  push(tar: string, name: string): Promise<void>;
  /** Makes an image for several architectures out of tags of one repository, named after them. */
  index(repository: string, tag: string, architectures: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

const READY_MS_MAX = 10_000;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

function run(argv: string[]): void {
  const done = Bun.spawnSync(argv, { stderr: "pipe" });
  if (done.exitCode !== 0) throw new Error(`${argv[0]}: ${done.stderr.toString()}`);
}

function config(dir: string, port: number): string {
  return `version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: ${dir}/data } }
http:
  addr: 127.0.0.1:${port}
  tls: { certificate: ${dir}/cert.pem, key: ${dir}/key.pem }
auth: { htpasswd: { realm: test, path: ${dir}/htpasswd } }
`;
}

async function hosts(dir: string, domain: string, server: string): Promise<void> {
  await mkdir(`${dir}/hosts/${domain}`, { recursive: true });
  const text = `server = "${server}"\n[host."${server}"]\n  ca = "${dir}/cert.pem"\n`;
  await writeFile(`${dir}/hosts/${domain}/hosts.toml`, text);
}

async function ready(url: string): Promise<void> {
  const end = performance.now() + READY_MS_MAX;
  for (;;) {
    const up = await fetch(url, { tls: { rejectUnauthorized: false } }).catch(() => undefined);
    if (up !== undefined) return;
    if (performance.now() > end) throw new Error(`no registry at ${url}`);
    await sleep(realClock, 20);
  }
}

export async function startRegistry(): Promise<TestRegistry> {
  for (const tool of ["docker-registry", "openssl", "skopeo"]) {
    if (Bun.which(tool) === null) throw new Error(`${tool} is missing`);
  }
  const dir = await mkdtemp(join(tmpdir(), "bramble-registry-"));
  const port = await freePort();
  const host = `localhost:${port}`;
  const [username, password] = ["somebody", "se:cret"];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const keys = ["-keyout", `${dir}/key.pem`, "-out", `${dir}/cert.pem`];
  run([
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-days",
    "2",
    ...keys,
    ...subject,
  ]);
  const hash = await Bun.password.hash(password, { algorithm: "bcrypt", cost: 4 });
  await writeFile(`${dir}/htpasswd`, `${username}:${hash}\n`);
  await writeFile(`${dir}/config.yml`, config(dir, port));
  await hosts(dir, host, `https://${host}`);
  await hosts(dir, "docker.io", `https://${host}`);
  const child = Bun.spawn(["docker-registry", "serve", `${dir}/config.yml`], {
    stdin: "ignore",
    stdout: Bun.file(`${dir}/log`),
    stderr: Bun.file(`${dir}/log`),
  });
  const close = async () => {
    child.kill("SIGKILL");
    await child.exited;
    await rm(dir, { recursive: true, force: true });
  };
  try {
    await ready(`https://${host}/v2/`);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    host,
    username,
    password,
    hostsDir: `${dir}/hosts`,
    dataDir: `${dir}/data`,
    async push(tar, name) {
      const target = ["--dest-tls-verify=false", "--dest-creds", `${username}:${password}`];
      run(["skopeo", "copy", "-q", ...target, `docker-archive:${tar}`, `docker://${host}/${name}`]);
    },
    async index(repository, tag, architectures) {
      const url = `https://${host}/v2/${repository}/manifests/`;
      const authorization = `Basic ${btoa(`${username}:${password}`)}`;
      const type = "application/vnd.docker.distribution.manifest";
      const tls = { rejectUnauthorized: false };
      const list = [];
      for (const architecture of architectures) {
        const headers = { authorization, accept: `${type}.v2+json` };
        const bytes = await (await fetch(`${url}${architecture}`, { headers, tls })).bytes();
        const digest = `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
        const platform = { os: "linux", architecture };
        list.push({ mediaType: `${type}.v2+json`, size: bytes.length, digest, platform });
      }
      const mediaType = `${type}.list.v2+json`;
      const body = JSON.stringify({ schemaVersion: 2, mediaType, manifests: list });
      const headers = { authorization, "content-type": mediaType };
      const answer = await fetch(`${url}${tag}`, { method: "PUT", headers, body, tls });
      if (!answer.ok) throw new Error(`index: ${answer.status} ${await answer.text()}`);
    },
    close,
  };
}
