/** The file that kubectl and every other client understands. */
import { stringify } from "yaml";

export function kubeconfig(options: {
  server: string;
  caPem: string;
  /** As the file has it: `token`, or paths of `client-certificate` and `client-key`. */
  user: Readonly<Record<string, string>>;
  context?: string;
}): string {
  const name = options.context ?? "bramble";
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name,
        cluster: {
          server: options.server,
          "certificate-authority-data": Buffer.from(options.caPem).toString("base64"),
        },
      },
    ],
    users: [{ name, user: options.user }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    "current-context": name,
  });
}
