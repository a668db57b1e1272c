/** Addresses that are understood, but not written as they should be. */
import { addressText, addressValue } from "#base/cidr.ts";

const MAPPED = 0xffffn << 32n;
const LOW_32 = 0xffff_ffffn;

interface Address {
  readonly value: bigint;
  readonly v6: boolean;
  /** `::ffff:10.0.0.1`. */
  readonly mapped: boolean;
}

function addressOf(text: string): Address | undefined {
  const value = addressValue(text);
  if (value === undefined) return undefined;
  const mapped = text.includes(":") && value >> 32n === MAPPED >> 32n;
  if (mapped) return { value: value & LOW_32, v6: false, mapped };
  return { value, v6: text.includes(":"), mapped };
}

export function ipWarnings(path: string, text: string | undefined): string[] {
  const address = addressOf(text ?? "");
  if (address === undefined) return [];
  const canonical = addressText(address.value, address.v6);
  if (address.mapped) {
    return [
      `${path}: non-standard IP address "${text}" will be considered invalid in a future ` +
        `Kubernetes release: use "${canonical}"`,
    ];
  }
  if (!address.v6 || canonical === text) return [];
  return [
    `${path}: IPv6 address "${text}" should be in RFC 5952 canonical format ("${canonical}")`,
  ];
}

export function cidrWarnings(path: string, text: string | undefined): string[] {
  const [ip = "", given = ""] = (text ?? "").split("/");
  const address = addressOf(ip);
  if (address === undefined || !/^\d{1,3}$/.test(given)) return [];
  const width = address.v6 ? 128 : 32;
  const bits = address.mapped ? Math.max(0, Number(given) - 96) : Number(given);
  const rest = BigInt(width - bits);
  const network = (address.value >> rest) << rest;
  const canonical = `${addressText(network, address.v6)}/${bits}`;
  const warnings: string[] = [];
  if (network !== address.value) {
    const whole = ip.includes(":") ? 128 : 32;
    const single = `${addressText(address.value, address.v6)}/${whole}`;
    warnings.push(
      `${path}: CIDR value "${text}" is ambiguous in this context ` +
        `(should be "${canonical}" or "${single}"?)`,
    );
  }
  if (address.mapped) {
    warnings.push(
      `${path}: non-standard CIDR value "${text}" will be considered invalid in a future ` +
        `Kubernetes release: use "${canonical}"`,
    );
  }
  if (warnings.length === 0 && address.v6 && canonical !== text) {
    warnings.push(
      `${path}: IPv6 CIDR value "${text}" should be in RFC 5952 canonical format ("${canonical}")`,
    );
  }
  return warnings;
}
