/**
 * Answers each HTTP request with so many bytes, as a pod's server does: in a process of its own, so
 * that who asks does not wait for itself. `bun barepage.ts ADDRESS BYTES`; prints its port; ends
 * with its standard input.
 */
const [hostname = "", bytes = ""] = process.argv.slice(2);
const body = "x".repeat(Number(bytes));
const { port } = Bun.serve({ hostname, port: 0, fetch: () => new Response(body) });
process.stdout.write(`${port}\n`);
for await (const _ of Bun.stdin.stream());
process.exit(0);

export {};
