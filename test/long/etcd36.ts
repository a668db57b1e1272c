/**
 * The tests of the store and of servers on etcd, on v3.6.4 built from its Go module instead of
 * Debian's 3.4: `bun run test:etcd36`, or with the tests to run.
 */
import { builtEtcd } from "#test/bench/programs.ts";

const STORE = ["etcd", "etcd-members", "etcd-claims"].map(
  (name) => `./test/component/store/${name}.test.ts`,
);
const SERVERS = ["servers", "migrate", "etcdsecrets"].map((name) => `./test/e2e/${name}.test.ts`);

const asked = Bun.argv.slice(2);
const tests =
  asked.length > 0 ? asked : [...STORE, "./test/component/api/claims.test.ts", ...SERVERS];
const program = await builtEtcd();
const version = Bun.spawnSync([program, "--version"]).stdout.toString().split("\n")[0];
console.log(version);
const child = Bun.spawn(["bun", "test", "--timeout", "120000", ...tests], {
  env: { ...process.env, BRAMBLE_TEST_ETCD: program },
  stdio: ["inherit", "inherit", "inherit"],
});
process.exit(await child.exited);
