/** The server without power for LONG_OUTAGE_S seconds (default 600), under load. */
import { testOutage } from "#test/support/outage.ts";

testOutage(Number(process.env["LONG_OUTAGE_S"] ?? 600));
