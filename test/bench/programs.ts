/** The programs that a measurement runs, built once into `build/`. */
import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { measuring } from "#test/bench/ends.ts";

const ROOT = join(import.meta.dir, "../..");
const BUILD = join(import.meta.dir, "build");

export const BRAMBLE = join(ROOT, "dist/bramble");

/** To remove a node with 110 pods on a machine that does much else. */
const TIDY_MS_MAX = 120_000;

export interface RunOptions {
  readonly cwd?: string;
  /** Milliseconds. */
  readonly timeout?: number;
}

type Piped = Bun.Subprocess<"ignore", "pipe", "pipe">;

/** In a group of its own, which ends as one. */
const start = (argv: string[], options: RunOptions): Piped =>
  Bun.spawn(argv, {
    ...options,
    detached: true,
    env: { ...process.env, CGO_ENABLED: "0" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });

async function outputOf(child: Piped, argv: string[]): Promise<string> {
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0)
    throw new Error(`${argv.join(" ")}: ${err.trim().slice(-600) || child.signalCode || code}`);
  return out;
}

/** Runs a program to its end. @throws with its last words, and once the measuring is over. */
export async function must(argv: string[], options: RunOptions = {}): Promise<string> {
  return outputOf(
    measuring(() => start(argv, options)),
    argv,
  );
}

/** The same for what cleans up: it runs whatever happened. */
export async function tidy(argv: string[]): Promise<string> {
  return outputOf(start(argv, { timeout: TIDY_MS_MAX }), argv);
}

export async function buildBramble(): Promise<string> {
  await must(["bun", "tools/build.ts", BRAMBLE], { cwd: ROOT });
  return BRAMBLE;
}

async function build(name: string, folder: string, pack: string, again: boolean): Promise<string> {
  const out = join(BUILD, name);
  if (existsSync(out) && !again) return out;
  if (Bun.which("go") === null) throw new Error("go is missing");
  mkdirSync(BUILD, { recursive: true });
  const flags = ["-trimpath", "-ldflags", "-s -w"];
  await must(["go", "build", ...flags, "-o", out, pack], { cwd: join(import.meta.dir, folder) });
  return out;
}

/** One of the load programs of this folder; made anew when its source changed. */
export function loadProgram(name: "apibench" | "podbench" | "soak"): Promise<string> {
  const source = statSync(join(import.meta.dir, name, "main.go")).mtimeMs;
  const made = statSync(join(BUILD, name), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return build(name, name, ".", made < source);
}

/** v3.6.4, of the module that the conformance tests pin. */
export const builtEtcd = (): Promise<string> =>
  build("etcd", "../conformance/etcd", "go.etcd.io/etcd/server/v3", false);

/** The one that goes with it. */
export const builtEtcdctl = (): Promise<string> =>
  build("etcdctl", "../conformance/etcd", "go.etcd.io/etcd/etcdctl/v3", false);

/** Kubernetes' own, of the versions that the conformance tests pin. Minutes, the first time. */
export async function peerPrograms(): Promise<{ apiserver: string; etcd: string }> {
  const suite = "../conformance";
  return {
    apiserver: await build("kube-apiserver", suite, "k8s.io/kubernetes/cmd/kube-apiserver", false),
    etcd: await builtEtcd(),
  };
}
