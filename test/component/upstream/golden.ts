/** The answers of Kubernetes' own API server, a line each, packed. */
import type { Answer } from "./ask.ts";

export const GOLDEN = new URL("./golden.jsonl.gz", import.meta.url);

export async function writeGolden(answers: readonly Answer[]): Promise<void> {
  const text = answers.map((answer) => `${JSON.stringify(answer)}\n`).join("");
  await Bun.write(GOLDEN, Bun.gzipSync(text, { level: 9 }));
}

export async function readGolden(): Promise<Map<string, Answer>> {
  const packed = new Uint8Array(await Bun.file(GOLDEN).arrayBuffer());
  const lines = new TextDecoder().decode(Bun.gunzipSync(packed)).trimEnd().split("\n");
  const answers = lines.map((line) => JSON.parse(line) as Answer);
  return new Map(answers.map((answer) => [answer.name, answer]));
}
