/**
 * CNI's firewall plugin and masquerading leave rules where a container was killed, and chains for
 * everybody that nobody takes away: ours go, and the chains where nobody else has a rule in them.
 */
import { tidy } from "#test/bench/programs.ts";

/** Chains of the firewall plugin, and how many rules each has when no bridge is left. */
const SHARED: ReadonlyArray<[string, number]> = [
  ["CNI-ISOLATION-STAGE-1", 1],
  ["CNI-ISOLATION-STAGE-2", 1],
  ["CNI-FORWARD", 1],
  ["CNI-ADMIN", 0],
];

async function rulesOf(table: string): Promise<string[]> {
  const text = await tidy(["iptables-save", "-t", table]);
  return text.split("\n").filter((line) => line.startsWith("-A "));
}

async function remove(table: string, rule: string): Promise<void> {
  await tidy(["sh", "-c", `iptables -w -t ${table} ${rule.replace(/^-A/, "-D")}`]);
}

/** The chains that there were before, so that they are left alone. */
export async function sharedChains(): Promise<string[]> {
  const text = await tidy(["iptables-save", "-t", "filter"]);
  return SHARED.map(([chain]) => chain).filter((chain) => text.includes(`:${chain} `));
}

async function dropShared(before: readonly string[]): Promise<void> {
  const rules = await rulesOf("filter");
  const inUse = SHARED.some(([chain, count]) => {
    return rules.filter((rule) => rule.startsWith(`-A ${chain} `)).length > count;
  });
  if (inUse || before.length > 0) return;
  const chains = SHARED.map(([chain]) => chain);
  const jumps = rules.filter((rule) => chains.some((chain) => rule.endsWith(`-j ${chain}`)));
  for (const rule of jumps) await remove("filter", rule);
  for (const [chain] of SHARED) {
    await tidy(["sh", "-c", `iptables -w -F ${chain} && iptables -w -X ${chain} || true`]);
  }
}

/** `mark`: how the ids of the containers begin; `bridge` and `subnet`: the network's own. */
export async function dropCniRules(
  { mark, bridge, subnet }: { mark: string; bridge: string; subnet: string },
  before: readonly string[],
): Promise<void> {
  const ours = (await rulesOf("nat")).filter((rule) => rule.includes(mark));
  for (const rule of ours) await remove("nat", rule);
  const chains = new Set(ours.map((rule) => /-j (CNI-[0-9a-f]+)$/.exec(rule)?.[1] ?? ""));
  for (const chain of chains)
    if (chain !== "") await tidy(["iptables", "-w", "-t", "nat", "-X", chain]);
  for (const rule of await rulesOf("filter")) {
    const mentions = rule.includes(`${bridge} `) || rule.includes(` ${subnet}`);
    if (mentions) await remove("filter", rule);
  }
  await dropShared(before);
}
