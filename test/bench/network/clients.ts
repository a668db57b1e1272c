/**
 * Small clients for a pod's namespace, in perl (which every Debian has): blocking calls time a
 * connection without an event loop around it.
 */
import type { Run } from "#base/process.ts";
import { must } from "#test/host/network/site.ts";

/**
 * Connects to each target, COUNT times, in another order each time, as what follows a like
 * connection is faster; prints the medians in microseconds.
 */
const CONNECTS = `
use strict; use Socket; use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
my ($count, @targets) = @ARGV;
my @times;
for my $i (1 .. $count) {
  for my $t ($i % 2 ? (0 .. $#targets) : reverse(0 .. $#targets)) {
    my ($ip, $port) = split /:/, $targets[$t];
    my $to = sockaddr_in($port, inet_aton($ip));
    socket(my $s, PF_INET, SOCK_STREAM, 0) or die $!;
    my $from = clock_gettime(CLOCK_MONOTONIC);
    connect($s, $to) or die "$targets[$t]: $!";
    push @{$times[$t]}, clock_gettime(CLOCK_MONOTONIC) - $from;
    setsockopt($s, SOL_SOCKET, SO_LINGER, pack("II", 1, 0));
    close $s;
  }
}
print join(" ", map { my @s = sort { $a <=> $b } @$_; $s[@s / 2] * 1e6 } @times);
`;

/** Asks a target COUNT times over fresh connections; prints how often each name answered. */
const SPREAD = `
use strict; use Socket;
my ($count, $target) = @ARGV;
my ($ip, $port) = split /:/, $target;
my $to = sockaddr_in($port, inet_aton($ip));
my %seen;
for (1 .. $count) {
  socket(my $s, PF_INET, SOCK_STREAM, 0) or die $!;
  connect($s, $to) or die $!;
  syswrite $s, "GET / HTTP/1.0\\r\\n\\r\\n";
  my $text = "";
  while (sysread $s, my $part, 4096) { $text .= $part }
  $seen{(split / /, (split /\\r\\n\\r\\n/, $text)[1])[0]}++;
  close $s;
}
print join(" ", map { "$_=$seen{$_}" } sort keys %seen);
`;

const perl = (run: Run, program: string, ...args: string[]): Promise<string> =>
  must(
    (argv, options) => run(argv, { ...options, timeoutMs: 120_000 }),
    ["perl", "-e", program, ...args],
  );

/** Medians in microseconds, one a target (`10.42.1.2:8080`); targets take turns. */
export async function connectTimes(run: Run, count: number, targets: readonly string[]) {
  const text = await perl(run, CONNECTS, String(count), ...targets);
  return text.split(" ").map(Number);
}

export async function spread(run: Run, count: number, target: string): Promise<number[]> {
  const text = await perl(run, SPREAD, String(count), target);
  return text.split(" ").map((part) => Number(part.split("=")[1]));
}
