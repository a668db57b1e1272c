/** Where a webhook answers: a URL or a Service (apiserver util/webhook). */
import { type Cause, invalid, required } from "#resources/field.ts";
import { present } from "#resources/validate/basic.ts";
import { subdomainErrors } from "#resources/validate/text.ts";

interface Target {
  url?: string;
  service?: { namespace?: string; name?: string; path?: string; port?: number };
}

const EXAMPLE = "desired format: https://host[/path]";

/** Scheme, authority, path, query and fragment (RFC 3986, appendix B). */
const PARTS = /^(?:([^:/?#]+):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/;

function urlCauses(url: string, path: string): Cause[] {
  const [, scheme = "", authority = "", , query = "", fragment = ""] = PARTS.exec(url) ?? [];
  const userEnd = authority.lastIndexOf("@");
  const causes: Cause[] = [];
  if (scheme.toLowerCase() !== "https") {
    causes.push(invalid(path, scheme, `'https' is the only allowed URL scheme; ${EXAMPLE}`));
  }
  if (authority.slice(userEnd + 1) === "") {
    causes.push(invalid(path, "", `host must be specified; ${EXAMPLE}`));
  }
  const extra = {
    "user information is": authority.slice(0, Math.max(userEnd, 0)),
    "fragments are": fragment,
    "query parameters are": query,
  };
  for (const [what, value] of Object.entries(extra)) {
    if (value !== "") causes.push(invalid(path, value, `${what} not permitted in the URL`));
  }
  if (causes.length > 0 || URL.canParse(url)) return causes;
  return [required(path, `url must be a valid URL: cannot parse; ${EXAMPLE}`)];
}

function pathCauses(path: string, at: string): Cause[] {
  if (path === "" || path === "/") return [];
  if (path === "//") return [invalid(at, path, "segment[0] may not be empty")];
  const start = path.startsWith("/") ? [] : [invalid(at, path, "must start with a '/'")];
  // Whatever it starts with, upstream looks behind the first character.
  const segments = path.slice(1).replace(/\/$/, "").split("/");
  const causes = segments.flatMap((segment, index) => {
    if (segment === "") return [invalid(at, path, `segment[${index}] may not be empty`)];
    return subdomainErrors(segment).map((error) =>
      invalid(at, path, `segment[${index}]: ${error}`),
    );
  });
  return [...start, ...causes];
}

export function checkWebhookTarget({ url, service }: Target, path: string): Cause[] {
  if ((url === undefined) === (service === undefined)) {
    return [required(path, "exactly one of url or service is required")];
  }
  if (url !== undefined) return urlCauses(url, `${path}.url`);
  const at = `${path}.service`;
  const port = service?.port ?? 443;
  const bad = port < 1 || port > 65_535;
  const detail = "port is not valid: must be between 1 and 65535, inclusive";
  return [
    ...present(service?.name, `${at}.name`),
    ...present(service?.namespace, `${at}.namespace`),
    ...(bad ? [invalid(`${at}.port`, port, detail)] : []),
    ...(service?.path === undefined ? [] : pathCauses(service.path, `${at}.path`)),
  ];
}
