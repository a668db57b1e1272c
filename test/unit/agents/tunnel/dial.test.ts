/** Dialling a server, as far as it goes without one. */
import { expect, test } from "bun:test";
import type { Credential } from "#agents/join/credentials.ts";
import { dialTunnel } from "#agents/tunnel/dial.ts";
import { silentLog } from "#base/log.ts";
import { fakeClock } from "#test/support/clock.ts";

test("who is let go while it makes its credentials dials nobody", async () => {
  const stop = new AbortController();
  const credential = Promise.withResolvers<Credential>();
  const dialling = dialTunnel({
    server: "https://127.0.0.1:1",
    credentials: { current: () => credential.promise },
    handler: { fetch: () => Promise.reject(), open: () => Promise.reject() },
    pingMs: () => 1,
    onDoubt: () => {},
    clock: fakeClock(),
    log: silentLog,
    signal: stop.signal,
  });
  stop.abort();
  let dialled = false;
  credential.resolve({
    get headers() {
      dialled = true;
      return {};
    },
    tls: { ca: "" },
    refused: () => false,
  });
  await dialling;
  expect(dialled).toBe(false);
});
