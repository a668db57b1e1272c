/** The programs of other languages that are clients here, installed by their own tools. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mustRun } from "#test/support/instance.ts";

export const GO = join(import.meta.dir, "go");
export const PYTHON = join(import.meta.dir, "python");
const HELM = join(import.meta.dir, "helm");
export const CHART = join(HELM, "chart");
export const BUILD = join(import.meta.dir, "build");
export const INSTALL_MS_MAX = 1_500_000;

async function compiled(from: string, name: string, ...argv: string[]): Promise<string> {
  const program = join(BUILD, name);
  mkdirSync(BUILD, { recursive: true });
  const env = { CGO_ENABLED: "0", GOFLAGS: "-mod=readonly" };
  const [verb = "", ...rest] = argv;
  const whole = ["go", verb, "-trimpath", "-o", program, ...rest];
  await mustRun(["env", "-C", from, ...whole], { env, timeoutMs: INSTALL_MS_MAX });
  return program;
}

/** The compiled Go tests. The first time takes minutes on a small machine. */
export const goTests = (): Promise<string> =>
  compiled(GO, "go.test", "test", "-c", "-vet=off", ".");

/** A server of Go's that prints what it is asked. */
export const goBackend = (): Promise<string> =>
  compiled(join(import.meta.dir, "backend"), "backend", "build", "main.go");

/** helm of the version that helm/go.mod pins. The first time takes minutes, too. */
export const helmProgram = (): Promise<string> =>
  compiled(HELM, "helm", "build", "helm.sh/helm/v3/cmd/helm");

/** Python with the pinned packages; made anew when the pins change. */
export async function python(): Promise<string> {
  const venv = join(BUILD, "venv");
  const program = join(venv, "bin/python");
  const wanted = readFileSync(join(PYTHON, "requirements.txt"), "utf8");
  const mark = join(venv, "installed.txt");
  if (existsSync(mark) && readFileSync(mark, "utf8") === wanted) return program;
  mkdirSync(BUILD, { recursive: true });
  const options = { timeoutMs: INSTALL_MS_MAX };
  await mustRun(["python3", "-m", "venv", "--clear", venv], options);
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  await mustRun([program, ...pip, "-r", join(PYTHON, "requirements.txt")], options);
  writeFileSync(mark, wanted);
  return program;
}
