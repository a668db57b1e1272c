/** As `test/long/outage.test.ts`, for a short time. */
import { testOutage } from "#test/support/outage.ts";

testOutage(15);
