/** Servers of the tests that stand for pods. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSockets, type Socket } from "node:net";
import { ADDRESS, type Endpoint } from "./stage.ts";

export interface Server extends Endpoint {
  close(): void;
}

async function listening(server: ReturnType<typeof createSockets>): Promise<Server> {
  await new Promise<void>((resolve) => server.listen(0, ADDRESS, resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { port, close: () => server.close() };
}

/** One answer for each request. */
export const serve = (
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Server & { active(): number }> => {
  let active = 0;
  const server = createServer((request, response) => {
    active++;
    response.on("close", () => active--);
    handle(request, response);
  });
  return listening(server).then(({ port }) => ({
    port,
    active: () => active,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  }));
};

/**
 * Its queue of connections is full, so that the kernel drops first packets; once it is told to
 * begin it answers each with `late`.
 */
const FULL = `
use strict; use Socket;
socket(my $l, PF_INET, SOCK_STREAM, 0) or die $!;
bind($l, sockaddr_in(0, inet_aton($ARGV[0]))) or die $!;
listen($l, 0) or die $!;
my $to = getsockname($l);
socket(my $filler, PF_INET, SOCK_STREAM, 0) or die $!;
connect($filler, $to) or die $!;
shutdown($filler, 1);
$| = 1;
print +(sockaddr_in($to))[0], "\\n";
<STDIN>;
while (accept(my $c, $l)) {
  sysread $c, my $head, 4096;
  syswrite $c, "HTTP/1.0 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\nlate" if $head;
  close $c;
}
`;

export async function overloaded(): Promise<Server & { begin(): void }> {
  const argv = ["perl", "-e", FULL, ADDRESS];
  const child = Bun.spawn(argv, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const { value } = await child.stdout.getReader().read();
  return {
    port: Number(new TextDecoder().decode(value)),
    begin: () => {
      child.stdin.write("\n");
      child.stdin.end();
    },
    close: () => void child.kill("SIGKILL"),
  };
}

/**
 * Takes as many requests as told; from then on it is as silent as a machine without power, to first
 * packets too. Told to, it answers them with `late`.
 */
const SILENT = `
use strict; use Socket qw(:DEFAULT SOCK_NONBLOCK);
socket(my $l, PF_INET, SOCK_STREAM, 0) or die $!;
bind($l, sockaddr_in(0, inet_aton($ARGV[0]))) or die $!;
listen($l, 128) or die $!;
my $to = getsockname($l);
$| = 1;
print +(sockaddr_in($to))[0], "\\n";
my @taken;
while (@taken < $ARGV[1]) {
  accept(my $c, $l) or die $!;
  push @taken, $c if sysread $c, my $head, 65536;
}
listen($l, 0) or die $!;
socket(my $filler, PF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0) or die $!;
connect($filler, $to);
print "silent\\n";
<STDIN>;
syswrite $_, "HTTP/1.0 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\nlate" for @taken;
`;

export async function silentAfter(
  requests: number,
): Promise<Server & { silent: Promise<unknown>; answer(): void }> {
  const argv = ["perl", "-e", SILENT, ADDRESS, String(requests)];
  const child = Bun.spawn(argv, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  return {
    port: Number(new TextDecoder().decode(value)),
    silent: reader.read(),
    answer: () => {
      child.stdin.write("\n");
      child.stdin.end();
    },
    close: () => void child.kill("SIGKILL"),
  };
}

/** Says who it is and what it was asked. */
export const echo = (service: string): Promise<Server> =>
  serve((request, response) => {
    const { method, url: path, headers } = request;
    request.resume().on("end", () => {
      const body = JSON.stringify({ service, method, path, host: headers.host, headers });
      response.setHeader("content-type", "application/json").end(body);
    });
  });

/** For what a proper server does not do. */
export const sockets = (handle: (socket: Socket) => void): Promise<Server> =>
  listening(
    createSockets((socket) => {
      socket.on("error", () => socket.destroy());
      handle(socket);
    }),
  );

export interface Curled {
  status: number;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came back.
  json: any;
  headers: string;
}

/** The real curl; the host is asked at the given port of this machine. */
export async function curl(url: string, ...more: string[]): Promise<Curled> {
  const { hostname, port } = new URL(url);
  const child = Bun.spawn(
    [
      ...["curl", "-s", "-i", "-m", "60", "-w", "\n%{http_code}", "--path-as-is"],
      ...["--connect-to", `${hostname}:${port}:127.0.0.1:${port}`, ...more, url],
    ],
    { stdout: "pipe", stderr: "inherit", timeout: 65_000 },
  );
  const all = await new Response(child.stdout).text();
  const status = Number(all.slice(all.lastIndexOf("\n") + 1));
  const text = all.slice(0, all.lastIndexOf("\n"));
  const start = text.lastIndexOf("HTTP/1.1 ");
  const end = text.indexOf("\r\n\r\n", Math.max(start, 0));
  const body = text.slice(end + 4);
  return {
    status,
    text: body,
    json: body.startsWith("{") ? JSON.parse(body) : undefined,
    headers: text.slice(Math.max(start, 0), end).toLowerCase(),
  };
}
