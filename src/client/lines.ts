/** Newline-delimited text from a stream, as watches and followed logs send it. */

/**
 * The non-empty lines of a response's body, each as soon as it is whole. Ends with the body, or
 * quietly when the signal aborts.
 */
export async function* readLines(response: Response, signal?: AbortSignal): AsyncGenerator<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  const stop = () => void reader.cancel().catch(() => {});
  if (signal?.aborted) return stop();
  signal?.addEventListener("abort", stop, { once: true });
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const text = rest + decoder.decode(value, { stream: true });
      let from = 0;
      for (let to = text.indexOf("\n"); to >= 0; to = text.indexOf("\n", from)) {
        if (to > from) yield text.slice(from, to);
        from = to + 1;
      }
      rest = from === 0 ? text : text.slice(from);
    }
    if (rest.trim() !== "") yield rest;
  } catch (error) {
    if (!signal?.aborted) throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
    stop();
  }
}
