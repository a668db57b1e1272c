/** The page that tests serve, as `install/web-image.sh` makes it. */
import { join } from "node:path";
import { mustRun } from "#test/support/instance.ts";

const SCRIPT = join(import.meta.dir, "../../install/web-image.sh");

/** Makes the image as an archive in `dir`; answers its path. @throws Error with the script's words */
export async function webImage(dir: string): Promise<string> {
  const archive = join(dir, "web.tar");
  await mustRun([SCRIPT, archive]);
  return archive;
}
