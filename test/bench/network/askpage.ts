/**
 * Asks for a page again and again, in a process of its own, so that nothing else that a measurement
 * does makes an answer look late: `bun askpage.ts PAGE`, in JSON. Prints a word when it has
 * the first answer, and once its standard input ends the milliseconds that each took, as JSON. Open
 * loop: a request is due whether the one before is answered or not.
 */
import { getBody, type Page } from "#test/bench/network/getbody.ts";

const REQUESTS_PER_SECOND = 200;

const page = JSON.parse(process.argv[2] ?? "") as Page;

/** Milliseconds of one. */
async function ask(): Promise<number> {
  const at = performance.now();
  await getBody(page);
  return performance.now() - at;
}

let isOver = false;
async function untilOver(): Promise<void> {
  for await (const _ of Bun.stdin.stream());
  isOver = true;
}

await ask();
const over = untilOver();
process.stdout.write("asks\n");
const answers: Promise<number>[] = [];
const began = performance.now();
while (!isOver) {
  const due = Math.floor(((performance.now() - began) * REQUESTS_PER_SECOND) / 1_000);
  while (answers.length < due) answers.push(ask());
  await Bun.sleep(1_000 / REQUESTS_PER_SECOND);
}
await over;
await Bun.write(Bun.stdout, JSON.stringify(await Promise.all(answers)));
process.exit(0);
