/**
 * Asks Kubernetes' own API server everything in the corpus and keeps its answers:
 *
 *   bun test/component/upstream/record.ts
 *
 * kube-apiserver and etcd are built from the modules of `test/conformance` the first time.
 */

import { endAll } from "#test/bench/ends.ts";
import { startPeer } from "#test/bench/peers.ts";
import { askAll } from "./ask.ts";
import { corpus } from "./corpus.ts";
import { GOLDEN, writeGolden } from "./golden.ts";

const peer = await startPeer({ serviceCidr: "10.43.0.0/16", serviceAccounts: true });
try {
  const answers = await askAll(peer, corpus);
  await writeGolden(answers);
  console.log(`${answers.length} answers in ${GOLDEN.pathname}`);
} finally {
  await endAll();
}
process.exit();
