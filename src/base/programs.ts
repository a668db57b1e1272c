/**
 * Where other programs are looked for. An administrator's are in folders that PATH lacks where root
 * was reached by plain `su` or the caller is somebody else.
 */

const ADMIN_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
const USER_FOLDERS = ["/usr/local/bin", "/usr/bin", "/bin"];

/**
 * Appends the administrator's folders to PATH. An empty PATH gets the usual folders. Removes
 * relative folders, because other users may write to the working directory.
 */
export function searchPath(path: string | undefined): string {
  const named = (path ?? "").split(":").filter((folder) => folder.startsWith("/"));
  const had = named.length === 0 ? USER_FOLDERS : named;
  return [...had, ...ADMIN_FOLDERS.filter((folder) => !had.includes(folder))].join(":");
}

/** Variables that other programs inherit. All others may hold settings or credentials. */
const PASSED_ON = [
  "HOME",
  "USER",
  "LOGNAME",
  "LANG",
  "LANGUAGE",
  "TZ",
  "TMPDIR",
  "TERM",
  "XDG_RUNTIME_DIR",
  "DBUS_SESSION_BUS_ADDRESS",
  "DBUS_SYSTEM_BUS_ADDRESS",
];

/** Returns the environment for other programs. Its PATH is also used to find them. */
export function programEnvironment(): Record<string, string> {
  const own = process.env;
  const passed = Object.entries(own).flatMap(([name, value]) =>
    value !== undefined && (PASSED_ON.includes(name) || name.startsWith("LC_"))
      ? [[name, value] as const]
      : [],
  );
  return { ...Object.fromEntries(passed), PATH: searchPath(own["PATH"]) };
}

/** Returns the whole environment, for bramble itself. */
export const ownEnvironment = (): Record<string, string | undefined> => ({
  ...process.env,
  PATH: searchPath(process.env["PATH"]),
});

/** Its path; null where there is none. Takes PATH as it is now, which `Bun.which` alone does not. */
export const findProgram = (name: string): string | null =>
  Bun.which(name, { PATH: searchPath(process.env["PATH"]) });
