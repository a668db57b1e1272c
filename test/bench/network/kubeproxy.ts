/**
 * The yardstick: Services in the shape of kube-proxy's iptables mode, as `iptables-save` shows it
 * on any such node: one list of Services, a chain a Service, a chain an endpoint.
 */
export interface HandService {
  ip: string;
  /** `10.42.1.2:8080` */
  endpoints: readonly string[];
}

function chainsOf(
  { ip, endpoints }: HandService,
  name: string,
): { names: string[]; rules: string[] } {
  const at = `-d ${ip}/32 -p tcp -m comment --comment "bench/${name}" -m tcp --dport 80`;
  const names = [`KUBE-SVC-${name}`];
  const rules = [`-A KUBE-SVC-${name} ! -s 10.42.0.0/16 ${at} -j KUBE-MARK-MASQ`];
  endpoints.forEach((endpoint, i) => {
    const chain = `KUBE-SEP-${name}-${i}`;
    const left = endpoints.length - i;
    const chance =
      left === 1 ? "" : `-m statistic --mode random --probability ${(1 / left).toFixed(10)} `;
    names.push(chain);
    rules.push(`-A KUBE-SVC-${name} ${chance}-j ${chain}`);
    rules.push(`-A ${chain} -s ${endpoint.split(":", 1)[0]}/32 -j KUBE-MARK-MASQ`);
    rules.push(`-A ${chain} -p tcp -m tcp -j DNAT --to-destination ${endpoint}`);
  });
  return { names, rules };
}

/** Input of iptables-restore for an empty kernel. */
export function allByHand(services: readonly HandService[]): string {
  const names = ["KUBE-SERVICES", "KUBE-MARK-MASQ", "KUBE-POSTROUTING"];
  const rules = [
    "-A PREROUTING -j KUBE-SERVICES",
    "-A OUTPUT -j KUBE-SERVICES",
    "-A POSTROUTING -j KUBE-POSTROUTING",
    "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
    "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
    "-A KUBE-POSTROUTING -j MASQUERADE --random-fully",
  ];
  services.forEach((service, i) => {
    const at = `-d ${service.ip}/32 -p tcp -m comment --comment "bench/S${i}" -m tcp --dport 80`;
    rules.push(`-A KUBE-SERVICES ${at} -j KUBE-SVC-S${i}`);
    const chains = chainsOf(service, `S${i}`);
    names.push(...chains.names);
    rules.push(...chains.rules);
  });
  return `*nat\n${names.map((name) => `:${name} - [0:0]\n`).join("")}${rules.join("\n")}\nCOMMIT\n`;
}

/** What replaces the chains of one of them. */
export function oneByHand(service: HandService, i: number): string {
  const { names, rules } = chainsOf(service, `S${i}`);
  return `*nat\n${names.map((name) => `:${name} - [0:0]\n`).join("")}${rules.join("\n")}\nCOMMIT\n`;
}
