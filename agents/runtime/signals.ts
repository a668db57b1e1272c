/** Signal names as pods and images write them. Pure. */
import { constants } from "node:os";
import { RuntimeError } from "#agents/runtime/runtime.ts";

const FIRST_REAL_TIME = 34;
const LAST_REAL_TIME = 64;

/** `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`. RuntimeError for anything else. */
export function signalNumber(name: string): number {
  const plain = name.toUpperCase().replace(/^SIG/, "");
  const known = Object.entries(constants.signals).find(([key]) => key === `SIG${plain}`);
  if (known !== undefined) return known[1];
  const realTime = /^RT(MIN|MAX)(?:([+-]\d+))?$/.exec(plain);
  const base = realTime?.[1] === "MIN" ? FIRST_REAL_TIME : LAST_REAL_TIME;
  const number = realTime === null ? Number(plain) : base + Number(realTime[2] ?? 0);
  if (Number.isInteger(number) && number > 0 && number <= LAST_REAL_TIME) return number;
  throw new RuntimeError("InvalidSignal", `invalid signal ${name}`);
}
