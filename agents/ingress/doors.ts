/** The two ports, open while there is something to serve. */
import {
  type Listening,
  listenPlain,
  listenTls,
  type Pair,
  type TlsOptions,
} from "#agents/ingress/listen.ts";
import type { Serving } from "#agents/ingress/serving.ts";
import type { Log } from "#base/log.ts";

export interface DoorsOptions {
  serving: Serving;
  host: string;
  httpPort: number;
  tlsPort: number;
  /** Made when first needed. */
  fallback: () => Pair;
  contextOf: TlsOptions["contextOf"];
  log: Log;
}

type Name = "http" | "https";

const FLAGS: Record<Name, string> = { http: "--http-port", https: "--tls-port" };

export class Doors {
  readonly #options: DoorsOptions;
  readonly #open = new Map<Name, Listening>();
  /** Told already. */
  readonly #taken = new Set<Name>();

  constructor(options: DoorsOptions) {
    this.#options = options;
  }

  get ports(): Record<Name, number | undefined> {
    return { http: this.#open.get("http")?.port, https: this.#open.get("https")?.port };
  }

  /** False where a port is somebody else's. */
  async open(): Promise<boolean> {
    const { httpPort, tlsPort, serving, host, log, fallback, contextOf } = this.#options;
    const shared = { serving, host, log };
    await this.#one("http", httpPort, (port) => listenPlain({ ...shared, port }));
    await this.#one("https", tlsPort, (port) =>
      listenTls({ ...shared, port, fallback: fallback(), contextOf }),
    );
    return this.#open.size === 2;
  }

  async #one(
    name: Name,
    port: number,
    listen: (port: number) => Promise<Listening>,
  ): Promise<void> {
    if (this.#open.has(name)) return;
    const { log } = this.#options;
    try {
      const listening = await listen(port);
      this.#open.set(name, listening);
      if (name === "https") this.#options.serving.securePort = listening.port;
      this.#taken.delete(name);
      log.info("serving Ingresses", { port: listening.port });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
      if (this.#taken.has(name)) return;
      this.#taken.add(name);
      const hint = `stop what listens there, or choose another port with ${FLAGS[name]}`;
      log.warn("the Ingress port is taken by another program", { port, hint });
    }
  }

  close(): void {
    for (const listening of this.#open.values()) listening.close();
    this.#open.clear();
  }
}
