/**
 * Where the sources of Go modules are, for the generators: the Go toolchain fetches and verifies
 * them.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { $ } from "bun";

/** All of the same release: Kubernetes v1.34.4. */
export const KUBERNETES_MODULES = [
  "k8s.io/api",
  "k8s.io/apimachinery",
  "k8s.io/apiextensions-apiserver",
  "k8s.io/kube-aggregator",
] as const;
export const KUBERNETES_VERSION = "v0.34.4";

/** Folder of each module in Go's own cache. Needs `go` in the path. */
export async function moduleFolders(modules: readonly string[]): Promise<Map<string, string>> {
  const dir = mkdtempSync(join(tmpdir(), "bramble-go-"));
  try {
    await Bun.write(join(dir, "go.mod"), "module generate\n\ngo 1.24\n");
    const wanted = modules.map((name) => `${name}@${KUBERNETES_VERSION}`);
    const text = await $`go mod download -json ${wanted}`.cwd(dir).text();
    const found = text.trim().split(/\n(?=\{)/);
    return new Map(
      found.map((entry) => {
        const { Path, Dir } = JSON.parse(entry) as { Path: string; Dir: string };
        return [Path, Dir];
      }),
    );
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
