/** The message a container leaves: its file, or the end of its log. */
import type { PodWork } from "#agents/kubelet/context.ts";
import { logFile, terminationFile } from "#agents/kubelet/start.ts";
import { openRegular } from "#base/beneath.ts";
import { sleep } from "#base/clock.ts";
import { limits } from "#base/limits.ts";

/** Of the log at most this much, and this many lines (upstream). */
const LOG_BYTES_MAX = 2048;
const LOG_LINES_MAX = 80;

async function endOf(path: string, bytesMax: number): Promise<string> {
  try {
    const file = await openRegular(path);
    try {
      const { size } = await file.stat();
      const length = Math.min(size, bytesMax);
      const buffer = Buffer.alloc(length);
      const { bytesRead } = await file.read(buffer, 0, length, size - length);
      return buffer.subarray(0, bytesRead).toString("utf8");
    } finally {
      await file.close();
    }
  } catch {
    // No file, no message.
    return "";
  }
}

export async function terminationMessage(
  worker: PodWork,
  container: string,
  attempt: number,
  exitCode: number,
): Promise<string> {
  const { spec } = worker.member(container);
  const file = terminationFile(worker, container, attempt);
  const message = await endOf(file, limits.terminationMessageBytesMax);
  if (message !== "" || spec.terminationMessagePolicy !== "FallbackToLogsOnError") return message;
  if (exitCode === 0) return "";
  await sleep(worker.context.clock, limits.logSettleMs);
  const log = await endOf(logFile(worker, container, attempt), LOG_BYTES_MAX);
  const lines = log.split("\n");
  const trailing = log.endsWith("\n") ? 1 : 0;
  return lines.slice(Math.max(0, lines.length - LOG_LINES_MAX - trailing)).join("\n");
}
