import { expect, test } from "bun:test";
import { owedAnswers, owedBy } from "#agents/network/answers.ts";

const LISTEN = "LISTEN 0      9       0.0.0.0:8080  0.0.0.0:*     bbr cwnd:10";
/** As `ss -tanHiO` of iproute2 6.1 prints one connection, without what is not read. */
const line = (more: string, { state = "ESTAB ", queued = "0", at = "10.9.9.2:8080" } = {}) =>
  `${state} ${queued}      0      ${at} 10.9.9.1:47274 bbr wscale:10,10 rto:204 ` +
  `rtt:0.022/0.011 mss:1448 segs_in:2 ${more} send 5265454545bps`;
const owed = (...lines: string[]) => owedBy([LISTEN, ...lines, ""].join("\n"));
const busy = (...lines: string[]): number => {
  const { going, unanswered } = owed(...lines);
  return going + unanswered;
};

const ANSWERED = "bytes_sent:6 bytes_acked:6 bytes_received:3 lastsnd:728 lastrcv:928 lastack:728";

test("a kept connection whose last request is answered is at rest", () => {
  expect(busy(line(ANSWERED))).toBe(0);
  // Answered within the kernel's tick.
  expect(busy(line(ANSWERED.replace("928", "728")))).toBe(0);
});

test("an answer is owed: not begun, just going on, asked again, still unread", () => {
  expect(busy(line("bytes_received:6 lastsnd:320 lastrcv:320"))).toBe(1);
  expect(busy(line(ANSWERED.replaceAll("728", "40")))).toBe(1);
  // A time of nothing is not printed.
  expect(busy(line(ANSWERED.replace("lastsnd:728 ", "")))).toBe(1);
  expect(busy(line(ANSWERED.replace("lastrcv:928", "lastrcv:328")))).toBe(1);
  expect(busy(line(ANSWERED, { queued: "6" }))).toBe(1);
});

test("a client that has just connected will ask; one that has shut its side waits", () => {
  expect(busy(line("lastsnd:720 lastrcv:720"))).toBe(1);
  expect(busy(line("", { state: "SYN-RECV" }))).toBe(1);
  expect(busy(line("bytes_received:6 lastsnd:320 lastrcv:320", { state: "CLOSE-WAIT" }))).toBe(1);
});

test("what the pod itself asks others, what is over, and what stays inside do not count", () => {
  const asked = "bytes_received:6 lastsnd:320 lastrcv:320";
  expect(busy(line(asked, { at: "10.9.9.2:40123" }))).toBe(0);
  expect(busy(line(asked, { state: "TIME-WAIT" }))).toBe(0);
  expect(busy(line(asked).replace("10.9.9.1", "127.0.0.1"))).toBe(0);
  expect(busy(line(asked, { at: "[::ffff:10.9.9.2]:8080" }))).toBe(1);
  expect(owedBy("")).toEqual({ going: 0, unanswered: 0 });
});

test("who has heard nothing is told from who is in the middle of an answer", () => {
  const lines = [
    line("bytes_received:6 lastsnd:320 lastrcv:320"),
    line("lastsnd:720 lastrcv:720", { queued: "78" }),
    line("", { state: "SYN-RECV" }),
  ];
  expect(owed(...lines)).toEqual({ going: 0, unanswered: 3 });
  const streams = [line(ANSWERED.replaceAll("728", "40")), line("lastsnd:720 lastrcv:720")];
  expect(owed(...streams, line(ANSWERED, { queued: "6" }))).toEqual({ going: 3, unanswered: 0 });
});

test("a kernel that cannot be asked is told with its words", async () => {
  const run = async () => ({ exitCode: 1, stdout: "", stderr: "no such namespace\n" });
  expect(owedAnswers(run, "/run/netns/x")).rejects.toThrow("no such namespace");
});
