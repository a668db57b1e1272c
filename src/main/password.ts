/** A password that is given in a file: on the command line everybody on the machine could see it. */
import { readFileSync } from "node:fs";
import { messageOf, UsageError } from "#base/errors.ts";

/** Its first line; undefined where no file is named. */
export function readPassword(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  let password: string;
  try {
    password = readFileSync(file, "utf8").split("\n", 1)[0] ?? "";
  } catch (cause) {
    throw new UsageError(`--password-file: ${messageOf(cause)}`, { cause });
  }
  if (password === "") throw new UsageError(`--password-file: ${file} is empty`);
  return password;
}
