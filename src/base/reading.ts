/** Stopping to read from a Bun socket, and going on with it. */

export interface Reading {
  readonly paused: boolean;
  pause(): void;
  resume(): void;
}

/**
 * Of one socket. Bun 1.4.5 hears nothing more of a socket whose other side has ended if it is
 * resumed within the turn in which it is read: it is resumed in another one.
 */
export function readingOf(socket: { pause(): unknown; resume(): unknown }): Reading {
  let paused = false;
  return {
    get paused() {
      return paused;
    },
    pause() {
      paused = true;
      socket.pause();
    },
    resume() {
      paused = false;
      setImmediate(() => {
        if (!paused) socket.resume();
      });
    },
  };
}
