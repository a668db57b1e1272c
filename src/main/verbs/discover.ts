/** bramble discover */
import { browse } from "#agents/discovery/agent.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import type { VerbModule } from "#cli/verb.ts";

export const define: VerbModule["define"] = (command, io) => {
  command
    .option("--timeout <seconds>", "how long to listen", "3")
    .action(async (options: { timeout: string }) => {
      const rows = new Map<string, string>();
      await browse({
        timeoutMs: Number(options.timeout) * 1000,
        clock: realClock,
        log: silentLog,
        onFound: (service) => {
          const where = service.addresses.map((address) => `${address}:${service.port}`).join(",");
          const { name, role, version } = service;
          const row = `${name.padEnd(24)} ${role.padEnd(8)} ${where.padEnd(32)} ${version}`;
          rows.set(`${role}/${name}`, row);
        },
      });
      const head = `${"NAME".padEnd(24)} ${"ROLE".padEnd(8)} ${"ADDRESS".padEnd(32)} VERSION`;
      for (const row of [head, ...[...rows.values()].sort()]) io.out(`${row.trimEnd()}\n`);
    });
};
