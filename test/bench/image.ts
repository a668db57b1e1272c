/** The image that pods and plain containers run: the demonstration's, made of local files. */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { must } from "#test/bench/programs.ts";

const path = join(import.meta.dir, "build/web.tar");

/** Into a containerd namespace; whoever deletes a cluster takes its images away. */
export async function loadImage(address: string, namespace: string): Promise<void> {
  const nerdctl = ["nerdctl", "--address", address, "--namespace", namespace];
  await must([...nerdctl, "load", "-i", (await imageOf()).path]);
}

export async function imageOf(): Promise<{ name: string; path: string }> {
  if (!existsSync(path)) {
    mkdirSync(join(import.meta.dir, "build"), { recursive: true });
    await must([join(import.meta.dir, "../../install/web-image.sh"), path, "1"]);
  }
  return { name: "bramble.local/web:1", path };
}
