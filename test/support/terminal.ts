/** A program in a terminal of its own, typed into and read from. */

export interface Terminal {
  type(keys: string): void;
  resize(columns: number, rows: number): void;
  /** As when its window is closed. */
  hangUp(): void;
  /** Resolves once what was printed since the last match matches. @throws Error past a minute. */
  until(pattern: RegExp): Promise<string>;
  readonly exited: Promise<number>;
}

const LIMIT_MS = 60_000;

export function spawnInTerminal(
  argv: readonly string[],
  env: Record<string, string> = {},
): Terminal {
  let text = "";
  let wake = (): void => {};
  const child = Bun.spawn([...argv], {
    env: { ...process.env, TERM: "dumb", ...env },
    terminal: {
      cols: 80,
      rows: 24,
      data(_terminal, data) {
        text += new TextDecoder().decode(data);
        wake();
      },
    },
  });
  return {
    type: (keys) => void child.terminal?.write(keys),
    resize: (columns, rows) => child.terminal?.resize(columns, rows),
    hangUp: () => child.kill("SIGHUP"),
    async until(pattern) {
      const end = performance.now() + LIMIT_MS;
      for (;;) {
        const found = pattern.exec(text);
        if (found !== null) {
          text = text.slice(found.index + found[0].length);
          return found[0];
        }
        const leftMs = end - performance.now();
        if (leftMs <= 0) throw new Error(`${pattern} was not printed: ${JSON.stringify(text)}`);
        await Promise.race([new Promise<void>((resolve) => (wake = resolve)), Bun.sleep(leftMs)]);
      }
    },
    exited: child.exited,
  };
}
