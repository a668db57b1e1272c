/**
 * Where other programs are looked for. An administrator's are in folders that PATH lacks where root
 * was reached by plain `su` or the caller is somebody else.
 */

const ADMIN_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
const USER_FOLDERS = ["/usr/local/bin", "/usr/bin", "/bin"];

/** PATH with the administrator's folders behind what it has; of nothing: all of the usual ones. */
export function searchPath(path: string | undefined): string {
  const had = path === undefined || path === "" ? USER_FOLDERS : path.split(":");
  return [...had, ...ADMIN_FOLDERS.filter((folder) => !had.includes(folder))].join(":");
}

/** This process's own, with which other programs are found too. */
export const ownEnvironment = (): Record<string, string | undefined> => ({
  ...process.env,
  PATH: searchPath(process.env["PATH"]),
});

/** Its path; null where there is none. Takes PATH as it is now, which `Bun.which` alone does not. */
export const findProgram = (name: string): string | null =>
  Bun.which(name, { PATH: searchPath(process.env["PATH"]) });
