/**
 * Answers that came through the proxy: their redirects and the links of their pages stay below the
 * proxy's own path (Kubernetes, access services running on clusters).
 */

/** Elements whose attributes hold addresses (HTML 4 and 5, indices of attributes). */
const LINKS: Readonly<Record<string, readonly string[]>> = {
  a: ["href"],
  applet: ["codebase"],
  area: ["href"],
  audio: ["src"],
  base: ["href"],
  blockquote: ["cite"],
  body: ["background"],
  button: ["formaction"],
  del: ["cite"],
  embed: ["src"],
  form: ["action"],
  frame: ["longdesc", "src"],
  head: ["profile"],
  html: ["manifest"],
  iframe: ["longdesc", "src"],
  img: ["longdesc", "src", "usemap"],
  input: ["src", "usemap", "formaction"],
  ins: ["cite"],
  link: ["href"],
  object: ["classid", "codebase", "data", "usemap"],
  q: ["cite"],
  script: ["src"],
  source: ["src"],
  video: ["poster", "src"],
};

export interface Way {
  /** Path of the proxy that `/` behind it has here, without a slash at its end. */
  readonly base: string;
  /** `HOST:PORT` by which the other side may name itself. */
  readonly hosts: readonly string[];
}

/** An address as it is behind the proxy, as seen from before it. Others' and relative ones stay. */
export function throughProxy(address: string, { base, hosts }: Way): string {
  let path = address;
  if (!/^\/(?!\/)/.test(address)) {
    if (!/^(https?:)?\/\//.test(address)) return address;
    const url = URL.parse(address, "http://relative.invalid");
    if (url === null || !hosts.some((host) => host === url.host || host === `${url.host}:80`)) {
      return address;
    }
    path = `${url.pathname}${url.search}${url.hash}`;
  }
  return path.startsWith(`${base}/`) ? path : base + path;
}

function isPage(answer: Response): boolean {
  const [type = ""] = (answer.headers.get("content-type") ?? "").split(";");
  return type.trim() === "text/html" && !answer.headers.has("content-encoding");
}

function withLinks(answer: Response, way: Way): Response {
  const rewriter = new HTMLRewriter();
  for (const [element, attributes] of Object.entries(LINKS)) {
    rewriter.on(element, {
      element(found) {
        for (const name of attributes) {
          const value = found.getAttribute(name);
          if (value !== null) found.setAttribute(name, throughProxy(value, way));
        }
      },
    });
  }
  const page = rewriter.transform(answer);
  page.headers.delete("content-length");
  return page;
}

export function fromBehindProxy(answer: Response, way: Way): Response {
  const location = answer.headers.get("location");
  if (location !== null) {
    answer.headers.set("location", throughProxy(location, way));
    return answer;
  }
  return isPage(answer) && answer.body !== null ? withLinks(answer, way) : answer;
}
