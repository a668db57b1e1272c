/**
 * Calls of the C library that Bun has no word for: a socket inside of a pod's network namespace,
 * and giving back the disk space of a log's beginning. No process is started for either.
 */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { closeSync, constants, fstatSync, openSync, statSync } from "node:fs";
import { isIPv6 } from "node:net";
import { addressValue } from "#base/cidr.ts";
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
const OWN_NAMESPACE = "/proc/self/ns/net";

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

function socketAddress(host: string, port: number): Uint8Array {
  const v6 = isIPv6(host);
  const bytes = new Uint8Array(v6 ? 28 : 16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, v6 ? AF_INET6 : AF_INET, true);
  view.setUint16(2, port, false);
  const hex = (addressValue(host) ?? 0n).toString(16).padStart(v6 ? 32 : 8, "0");
  bytes.set(Buffer.from(hex, "hex"), v6 ? 8 : 4);
  return bytes;
}

/**
 * Opens a pod's network namespace. The descriptor keeps it valid when its path changes.
 * @throws Error if it does not exist, or if it is the node's own namespace.
 */
export function holdNamespace(path: string): number {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  const found = fstatSync(fd);
  const own = statSync(OWN_NAMESPACE);
  // All namespaces are files of one file system.
  if (found.dev === own.dev && found.ino !== own.ino) return fd;
  closeSync(fd);
  throw new Error(`${path} is not a pod's network namespace`);
}

/**
 * A socket made in another network namespace stays in it; the thread goes there and back at once.
 */
function socketIn(netns: number, family: number): number {
  const own = openSync(OWN_NAMESPACE, "r");
  try {
    if (libc().setns(netns, CLONE_NEWNET) !== 0) throw new Error("not a network namespace");
    const fd = libc().socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (libc().setns(own, CLONE_NEWNET) !== 0) {
      // In the wrong namespace nothing of this process works any more.
      throw new Error("cannot return to the node's network namespace");
    }
    if (fd < 0) throw new Error("no socket in the pod's network namespace");
    return fd;
  } finally {
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
 * Connects from within the namespace to the first of these addresses that listens; the answer is a
 * descriptor of a connected socket. Undefined where none does.
 */
export async function dialWithin(
  netns: number,
  hosts: readonly string[],
  port: number,
  clock: Clock,
  timeoutMs: number,
): Promise<number | undefined> {
  for (const host of hosts) {
    const fd = socketIn(netns, isIPv6(host) ? AF_INET6 : AF_INET);
    const where = socketAddress(host, port);
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
  const { O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants;
  const fd = openSync(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  try {
    return libc().fallocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 0, bytes) === 0;
  } finally {
    closeSync(fd);
  }
}
