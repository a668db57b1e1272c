/** All that is asked, in order. */
import type { Step } from "./ask.ts";
import { kindSteps } from "./corpus/kinds.ts";
import { objectSteps } from "./corpus/objects.ts";
import { protocolSteps } from "./corpus/protocol.ts";

export const corpus: readonly Step[] = [...protocolSteps, ...objectSteps, ...kindSteps];
