/**
 * Calls of the C library that Bun has no word for: a socket inside of a pod's network namespace,
 * and giving back the disk space of a log's beginning. No process is started for either.
 */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { closeSync, openSync } from "node:fs";
import { type Clock, sleep } from "#base/clock.ts";

const CLONE_NEWNET = 0x40000000;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const FALLOC_KEEP_SIZE = 1;
const FALLOC_PUNCH_HOLE = 2;
const POLLOUT = 4;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const CONNECT_LOOK_MS = 5;

function open() {
  const { i32, i64, u32, u64, ptr: pointer } = FFIType;
  return dlopen("libc.so.6", {
    setns: { args: [i32, i32], returns: i32 },
    socket: { args: [i32, i32, i32], returns: i32 },
    connect: { args: [i32, pointer, u32], returns: i32 },
    poll: { args: [pointer, u64, i32], returns: i32 },
    getsockopt: { args: [i32, i32, i32, pointer, pointer], returns: i32 },
    fallocate: { args: [i32, i32, i64, i64], returns: i32 },
  }).symbols;
}

let symbols: ReturnType<typeof open> | undefined;

/** Opened on first use: most processes never need it. */
function libc(): ReturnType<typeof open> {
  symbols ??= open();
  return symbols;
}

function address(port: number, v6: boolean): Uint8Array {
  const bytes = new Uint8Array(v6 ? 28 : 16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, v6 ? AF_INET6 : AF_INET, true);
  view.setUint16(2, port, false);
  if (v6) bytes[23] = 1;
  else bytes.set([127, 0, 0, 1], 4);
  return bytes;
}

/**
 * A socket made in another network namespace stays in it; the thread goes there and back at once.
 */
function socketIn(netnsPath: string, family: number): number {
  const there = openSync(netnsPath, "r");
  const own = openSync("/proc/self/ns/net", "r");
  try {
    if (libc().setns(there, CLONE_NEWNET) !== 0) throw new Error(`cannot enter ${netnsPath}`);
    const fd = libc().socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (libc().setns(own, CLONE_NEWNET) !== 0) {
      // In the wrong namespace nothing of this process works any more.
      throw new Error("cannot return to the node's network namespace");
    }
    if (fd < 0) throw new Error("no socket in the pod's network namespace");
    return fd;
  } finally {
    closeSync(there);
    closeSync(own);
  }
}

function socketError(fd: number): number {
  const value = new Int32Array(1);
  const size = new Uint32Array([4]);
  libc().getsockopt(fd, SOL_SOCKET, SO_ERROR, ptr(value), ptr(size));
  return value[0] ?? 0;
}

async function connected(fd: number, clock: Clock, timeoutMs: number): Promise<boolean> {
  const wanted = new Int16Array([0, 0, POLLOUT, 0]);
  new DataView(wanted.buffer).setInt32(0, fd, true);
  const endMs = clock.monotonic() + timeoutMs;
  while (clock.monotonic() < endMs) {
    if (libc().poll(ptr(wanted), 1, 0) > 0) return socketError(fd) === 0;
    await sleep(clock, CONNECT_LOOK_MS);
  }
  return false;
}

/**
 * Connects to a port of the pod's loopback; the answer is a descriptor of a connected socket.
 * Undefined where nobody listens there.
 */
export async function dialLoopback(
  netnsPath: string,
  port: number,
  clock: Clock,
  timeoutMs: number,
): Promise<number | undefined> {
  for (const v6 of [false, true]) {
    const fd = socketIn(netnsPath, v6 ? AF_INET6 : AF_INET);
    const where = address(port, v6);
    libc().connect(fd, ptr(where), where.length);
    if (await connected(fd, clock, timeoutMs)) return fd;
    closeSync(fd);
  }
  return undefined;
}

/**
 * Frees the disk space of the first bytes of a file, which then read as zeros. False where that is
 * not possible.
 */
export function punchHole(path: string, bytes: number): boolean {
  const fd = openSync(path, "r+");
  try {
    return libc().fallocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 0, bytes) === 0;
  } finally {
    closeSync(fd);
  }
}
