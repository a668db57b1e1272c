/**
 * Which version may follow which. Pure. One minor version at a time, as upstream
 * (kubernetes.io/releases/version-skew-policy): the state's schema only moves forward, and a node
 * may be one minor version behind its server, never ahead of it.
 */

export interface Version {
  major: number;
  minor: number;
  patch: number;
}

/** Of `0.1.0`, `v0.1.0` or `v1.34.4+bramble-0.1.0`; undefined for anything else. */
export function parseVersion(text: string): Version | undefined {
  const own = /\+bramble-(.+)$/.exec(text)?.[1] ?? text;
  const match = /^v?(\d+)\.(\d+)\.(\d+)/.exec(own);
  if (match === null) return undefined;
  return { major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3]) };
}

export const versionText = ({ major, minor, patch }: Version): string =>
  `${major}.${minor}.${patch}`;

/** Why `to` may not take the place of `from`; undefined where it may. */
export function refusal(from: Version, to: Version): string | undefined {
  const step = `${versionText(from)} to ${versionText(to)}`;
  if (to.major !== from.major) return `${step}: another major version is another cluster`;
  if (to.minor < from.minor) {
    return `${step}: an older minor version does not understand the state; restore a backup`;
  }
  if (to.minor > from.minor + 1) {
    return `${step}: one minor version at a time; first to ${from.major}.${from.minor + 1}`;
  }
  return undefined;
}

/** Why a node may not have `node` under a server that has `server`. */
export function skewRefusal(server: Version, node: Version): string | undefined {
  const behind = server.minor - node.minor;
  const pair = `a node of ${versionText(node)} under a server of ${versionText(server)}`;
  if (server.major !== node.major || behind < 0) return `${pair}: upgrade the server first`;
  if (behind > 1) return `${pair}: a node may be one minor version behind, not ${behind}`;
  return undefined;
}

/** The same of texts; undefined also where one is of no version, as every run from source is. */
export function skewOf(server: string, node: string): string | undefined {
  if ([server, node].some((text) => text.endsWith("-source"))) return undefined;
  const [above, below] = [parseVersion(server), parseVersion(node)];
  return above && below && skewRefusal(above, below);
}
