/** What a container wrote, from the agent that keeps it. */
import type { Call, Core } from "#api/core.ts";
import { ApiError, refuse } from "#api/errors.ts";
import { sendAsMessages, wantsWebSocket } from "#api/stream/binary.ts";
import { containerOf, linkOf, podOf } from "#api/stream/target.ts";
import type { Subresource } from "#api/subresources/subresource.ts";
import { flag } from "#api/watch.ts";
import { type Cause, invalid } from "#resources/field.ts";

const OPTIONS = { group: "", plural: "podlogoptions", kind: "PodLogOptions" };
const TEXT = { "content-type": "text/plain", "cache-control": "no-cache, private" };
const REASONS: Record<number, string> = { 400: "BadRequest", 404: "NotFound" };

function number(call: Call, name: string, min: number, causes: Cause[]): string | undefined {
  const text = call.query.get(name);
  if (text === null || text === "") return undefined;
  const value = Number(text);
  if (!Number.isInteger(value)) {
    throw refuse.badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  if (value < min) causes.push(invalid(name, value, `must be greater than or equal to ${min}`));
  return text;
}

function optionsOf(call: Call): URLSearchParams {
  const params = new URLSearchParams();
  const causes: Cause[] = [];
  for (const name of ["follow", "previous", "timestamps"]) {
    if (flag(call.query.get(name))) params.set(name, "true");
  }
  const numbers = { tailLines: 0, limitBytes: 1, sinceSeconds: 1 };
  for (const [name, min] of Object.entries(numbers)) {
    const value = number(call, name, min, causes);
    if (value !== undefined) params.set(name, value);
  }
  for (const name of ["sinceTime", "stream"]) {
    const value = call.query.get(name);
    if (value) params.set(name, value);
  }
  if (params.has("sinceTime") && params.has("sinceSeconds")) {
    const detail = "at most one of `sinceTime` or `sinceSeconds` may be specified";
    causes.push({ reason: "FieldValueForbidden", field: "", message: `Forbidden: ${detail}` });
  }
  if (causes.length > 0) throw refuse.invalid(OPTIONS, call.target.name ?? "", causes);
  return params;
}

async function serve(core: Core, call: Call): Promise<Response> {
  const params = optionsOf(call);
  const pod = await podOf(core, call);
  const container = containerOf(pod, call.query.get("container"));
  if (!pod.spec?.nodeName) return new Response("", { headers: TEXT });
  const { namespace = "", name, uid } = pod.metadata;
  params.set("uid", uid);
  const path = `/containerLogs/${namespace}/${name}/${container}?${params}`;
  const { signal } = call.request;
  const link = await linkOf(core, pod);
  const response = await link.fetch(new Request(`http://node${path}`, { signal }));
  if (response.status >= 400) {
    const text = (await response.text()).trim();
    const reason = REASONS[response.status] ?? "InternalError";
    throw new ApiError(response.status, reason, text, {});
  }
  if (wantsWebSocket(call.request)) return sendAsMessages(call, response.body);
  return new Response(response.body, { headers: TEXT });
}

export const log: Subresource = {
  name: "log",
  of: (resource) => resource.bucket === "core/pods",
  verbs: ["get"],
  async serve(core, call) {
    if (call.verb !== "get") throw refuse.method();
    return serve(core, call);
  },
};
