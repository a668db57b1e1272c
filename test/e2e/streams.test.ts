/** Much data, many streams, and clients that die, by the unmodified kubectl. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { eventually, freePort, type Instance, startInstance } from "#test/support/instance.ts";

const BIG_BYTES = 100_000_000;
const STREAMS = 50;
const AT_ONCE = 5;

let cluster: Instance;
let sum: string;

const source = `
apiVersion: v1
kind: Pod
metadata: {name: source}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: bramble.local/web:1
    imagePullPolicy: Never
    command: [sh, -c, "head -c ${BIG_BYTES} /dev/urandom >/www/big && echo hi >/www/small &&
      md5sum /www/big && exec httpd -f -p 127.0.0.1:8080 -h /www"]
`;

beforeAll(async () => {
  cluster = await startInstance({ name: "streams", images: ["1"] });
  await cluster.apply(source);
  sum = await eventually("the checksum", 60_000, async () => {
    const [first = ""] = (await cluster.must("logs", "source")).split(" ");
    return first.length === 32 && first;
  });
}, 270_000);

afterAll(async () => {
  await cluster?.close();
}, 180_000);

const md5 = async (file: Blob): Promise<string> => {
  const hasher = new Bun.CryptoHasher("md5");
  for await (const chunk of file.stream()) hasher.update(chunk);
  return hasher.digest("hex");
};

/** Open files of the server: streams that nobody ends stay among them. */
const openFiles = (): number => readdirSync(`/proc/${cluster.process?.pid}/fd`).length;

const kubectl = (...argv: string[]) => ["kubectl", "--kubeconfig", cluster.kubeconfig, ...argv];

/** A command in the container that gets what kubectl is given. */
const withInput = (...command: string[]) => kubectl("exec", "-i", "source", "--", ...command);

const processes = async (text: string): Promise<number> => {
  const argv = ["exec", "source", "--", "ps"];
  const { exitCode, stdout, stderr } = await cluster.kubectl(argv, { timeoutMs: 30_000 });
  if (exitCode !== 0) throw new Error(`no list of processes: status ${exitCode}: ${stderr}`);
  return stdout.split("\n").filter((line) => line.includes(text)).length;
};

/** The web server has a process for each request, beside its own. */
const serving = async (): Promise<number> => (await processes("httpd -f")) - 1;

/** A connection that is left after the first bytes; that it is ended is no error. */
function unread(port: number): Socket {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  return socket.once("data", () => socket.pause());
}

async function forwarded(use: (url: string) => Promise<void>): Promise<void> {
  const port = await freePort();
  const argv = kubectl("port-forward", "pod/source", `${port}:8080`);
  const child = Bun.spawn(argv, { stdout: "ignore", stderr: "ignore" });
  const url = `http://127.0.0.1:${port}`;
  try {
    await eventually("it answers", 60_000, async () => (await fetch(`${url}/small`)).ok);
    await use(url);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
}

test("100 MB come and go by cp as they are", async () => {
  const here = join(cluster.dir, "big");
  await cluster.must("cp", "--retries=0", "source:/www/big", here);
  expect(await md5(Bun.file(here))).toBe(sum);
  await cluster.must("cp", here, "source:/www/again");
  expect(await cluster.must("exec", "source", "--", "md5sum", "/www/again")).toStartWith(sum);
}, 360_000);

test("100 MB come through a forwarded port as they are", async () => {
  await forwarded(async (url) => {
    const answer = await fetch(`${url}/big`);
    expect(await md5(await answer.blob())).toBe(sum);
  });
}, 180_000);

test("50 at once are answered, and nothing stays of them when their client is killed", async () => {
  const before = openFiles();
  await forwarded(async (url) => {
    const one = async () => (await fetch(`${url}/small`, { keepalive: false })).text();
    const texts = await Promise.all(Array.from({ length: STREAMS }, one));
    expect(texts).toEqual(Array.from({ length: STREAMS }, () => "hi\n"));
    // Half-read, and left by the death of kubectl. All are open before one asks: kubectl opens
    // no stream while another one's unread bytes stand before its answer.
    const half: Socket[] = [];
    while (half.length < STREAMS) {
      // The web server's queue holds nine that it has not taken yet.
      for (let i = 0; i < AT_ONCE; i++) half.push(unread(Number(new URL(url).port)));
      await eventually("they are open", 60_000, async () => (await serving()) >= half.length);
    }
    for (const socket of half) socket.write("GET /big HTTP/1.0\r\n\r\n");
    await eventually("bytes come", 60_000, async () => half.some((one) => one.bytesRead > 0));
    expect(await serving()).toBe(STREAMS);
  });
  await eventually("the streams are gone", 60_000, async () => (await serving()) === 0);
  await eventually("their files are closed", 60_000, async () => openFiles() <= before + 5);
}, 270_000);

test("commands end with clients that die while their input is not read", async () => {
  const before = openFiles();
  // More than a pipe and the queues on the way to it hold, less than stops the server's reading.
  const stdin = new Uint8Array(800_000);
  const children = Array.from({ length: 5 }, () =>
    Bun.spawn(withInput("sleep", "88888"), { stdin, stdout: "ignore", stderr: "ignore" }),
  );
  const running = () => processes("sleep 88888");
  await eventually("the commands run", 60_000, async () => (await running()) === 5);
  for (const child of children) child.kill("SIGKILL");
  await eventually("the commands are gone", 60_000, async () => (await running()) === 0);
  await eventually("the streams are gone", 60_000, async () => openFiles() <= before + 5);
}, 270_000);

test("commands that end before their input leave nothing behind", async () => {
  const before = openFiles();
  const zeros = Bun.file("/dev/zero");
  for (let i = 0; i < 20; i++) {
    const child = Bun.spawn(withInput("true"), {
      stdin: zeros,
      stdout: "ignore",
      stderr: "ignore",
    });
    expect(await child.exited).toBe(0);
  }
  await eventually("the streams are gone", 60_000, async () => openFiles() <= before + 5);
}, 270_000);

test("commands of clients that die end with them", async () => {
  const before = openFiles();
  const children = Array.from({ length: 5 }, () =>
    Bun.spawn(withInput("sleep", "77777"), { stdin: "pipe", stdout: "ignore", stderr: "ignore" }),
  );
  const running = () => processes("sleep 77777");
  await eventually("the commands run", 60_000, async () => (await running()) === 5);
  for (const child of children) child.kill("SIGKILL");
  await eventually("the commands are gone", 60_000, async () => (await running()) === 0);
  await eventually("the streams are gone", 60_000, async () => openFiles() <= before + 5);
}, 270_000);
