/** What an exchange needs of its client's connection. */
export interface ClientSide {
  readonly address: string;
  readonly isSecure: boolean;
  readonly port: number;
  /** False: `drained` will be called. */
  write(bytes: Uint8Array): boolean;
  writeHead(text: string): boolean;
  pause(): void;
  resume(): void;
  /** No answer may follow on this connection. */
  readonly isLast: boolean;
  /** The exchange is over and all is written. */
  finished(canGoOn: boolean): void;
  /** An answer of our own ends it. */
  refuse(status: number, reason: string): void;
  /** In the middle of an answer nothing can be said any more. */
  cut(): void;
}
