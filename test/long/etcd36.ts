/**
 * The tests of the store and of servers on etcd, on v3.6.4 built from its Go module instead of
 * Debian's 3.4: `bun run test:etcd36`, or with the tests to run, as ./test/install/etcd.test.ts.
 */
import { builtEtcd, builtEtcdctl } from "#test/bench/programs.ts";

const STORE = ["etcd", "etcd-members", "etcd-claims", "etcd-rests", "etcd-terms", "etcd-tls"].map(
  (name) => `./test/component/store/${name}.test.ts`,
);
const API = "./test/component/api/claims.test.ts";
const SERVERS = ["servers", "migrate", "etcdsecrets"].map((name) => `./test/e2e/${name}.test.ts`);

const asked = Bun.argv.slice(2);
const tests = asked.length > 0 ? asked : [...STORE, API, ...SERVERS];
const program = await builtEtcd();
const control = await builtEtcdctl();
const version = Bun.spawnSync([program, "--version"]).stdout.toString().split("\n")[0];
console.log(version);
const child = Bun.spawn(["bun", "test", "--timeout", "120000", ...tests], {
  env: { ...process.env, BRAMBLE_TEST_ETCD: program, BRAMBLE_TEST_ETCDCTL: control },
  stdio: ["inherit", "inherit", "inherit"],
});
process.exit(await child.exited);
