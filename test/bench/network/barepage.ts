/**
 * Answers each HTTP request with 1 KB, as a pod's server does: in a process of its own, so that who
 * asks does not wait for itself. `bun barepage.ts ADDRESS`; prints its port; ends with its standard
 * input.
 */
const BODY = "x".repeat(1024);

const [hostname = "127.0.0.1"] = process.argv.slice(2);
const { port } = Bun.serve({ hostname, port: 0, fetch: () => new Response(BODY) });
process.stdout.write(`${port}\n`);
for await (const _ of Bun.stdin.stream());
process.exit(0);

export {};
