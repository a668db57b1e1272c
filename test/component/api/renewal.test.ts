/** The API's certificate changes while clients come: none of them finds the port shut. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { type Listener, listen } from "#api/listener.ts";
import { openPki, type Pki } from "#api/pki.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { realRandom } from "#base/random.ts";
import { freePort } from "#test/support/instance.ts";

/** Connects, in a process of its own, until its input ends; says how many were refused, and reset. */
const CLIENT = `
use strict; use Socket; use Errno;
my $to = sockaddr_in($ARGV[0], inet_aton("127.0.0.1"));
my ($all, $refused, $reset, $input) = (0, 0, 0, "");
vec($input, fileno(STDIN), 1) = 1;
$| = 1;
until (select(my $ready = $input, undef, undef, 0)) {
  socket(my $s, PF_INET, SOCK_STREAM, 0) or die $!;
  setsockopt($s, SOL_SOCKET, SO_LINGER, pack("II", 1, 0));
  connect($s, $to) or $!{ECONNREFUSED} ? $refused++ : $reset++;
  close $s;
  print "begun\n" if !$all++;
}
print "$refused $reset $all";
`;
const RENEWALS = 20;

let dir: string;
let pki: Pki;
let listener: Listener | undefined;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "bramble-renewal-"));
  pki = await openPki({
    ...{ dir, clock: realClock, random: realRandom, log: silentLog },
    ...{ names: ["localhost"], ips: ["127.0.0.1"], serviceCidrs: ["10.43.0.0/16"] },
  });
});

afterAll(async () => {
  await listener?.stop();
  pki.close();
  rmSync(dir, { recursive: true, force: true });
});

function open(port: number): Listener {
  const { certPem: cert, keyPem: key } = pki.server();
  const fetch = async () => new Response("ok");
  return listen({ fetch, hostname: "127.0.0.1", port, tls: { cert, key }, log: silentLog });
}

/** Of the certificate that a client is shown. */
function shownNames(port: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect({ host: "127.0.0.1", port, ca: pki.caPem }, () => {
    resolve(socket.getPeerCertificate().subjectaltname ?? "");
    socket.destroy();
  });
  socket.on("error", reject);
  return promise;
}

test("no connection is refused while the certificate changes", async () => {
  const current = open(await freePort());
  listener = current;
  pki.onRenewed(({ certPem: cert, keyPem: key }) => current.renew({ cert, key }));
  const argv = ["perl", "-e", CLIENT, String(current.port)];
  const client = Bun.spawn(argv, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const reader = client.stdout.getReader();
  await reader.read();
  for (let i = 1; i <= RENEWALS; i++) {
    pki.setAddresses(["127.0.0.1", `192.0.2.${i}`]);
    // The new one answers before the next change: a TLS handshake on it.
    expect(await shownNames(current.port)).toContain(`192.0.2.${i}`);
  }
  client.stdin.end();
  const text = new TextDecoder().decode((await reader.read()).value);
  const [refused = 0, reset = 0, all = 0] = text.split(" ").map(Number);
  expect(refused).toBe(0);
  // One whose handshake is under way just then may not be moved to the new listener in time.
  expect(reset).toBeLessThanOrEqual(RENEWALS);
  expect(all).toBeGreaterThan(RENEWALS);
});
