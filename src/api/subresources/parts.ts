/** Subresources that write one part of an object and leave the rest as it is. */
import type { Call, Core } from "#api/core.ts";
import { readAdopted } from "#api/decode.ts";
import { refuse } from "#api/errors.ts";
import { cloneJson, isObject } from "#api/json.ts";
import { keepAllBut, keepSpec } from "#api/keep.ts";
import { getOne } from "#api/read.ts";
import type { Subresource } from "#api/subresources/subresource.ts";
import { answerWritten, patchPart, place } from "#api/verbs.ts";
import { type Update, updateObject } from "#api/write.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import type { CertificateSigningRequest, Container, Pod } from "#resources/types.gen.ts";

type Keep = Update["keep"];

/** Get, replace and patch of an object of which only a part is taken. */
function part(name: string, bucket: string, verbs: readonly string[], keep: Keep): Subresource {
  async function put(core: Core, call: Call): Promise<Response> {
    const target = call.target.name ?? "";
    const object = await readAdopted(call);
    place(call, object, target);
    const written = await updateObject(core, call, {
      name: target,
      subresource: name,
      next: () => cloneJson(object),
      keep,
      // A namespace on its way out loses a finalizer, however it got in.
      trusted: name === "finalize",
    });
    return answerWritten(core, call, written);
  }
  return {
    name,
    of: (resource) => resource.bucket === bucket,
    verbs,
    async serve(core, call) {
      if (!verbs.includes(call.verb)) throw refuse.method();
      if (call.verb === "get") return getOne(core, call);
      return call.verb === "update" ? put(core, call) : patchPart(core, call, name, keep);
    },
  };
}

/** KEP-277: containers for debugging join, and never leave or change. */
function keepEphemeral(object: ApiObject, old: Stored): void {
  keepAllBut(object, old, ["ephemeralContainers"]);
}

/** KEP-1287: only what each container asks for changes. */
function keepResize(object: ApiObject, old: Stored): void {
  const wanted = (object as Pod).spec;
  const sizes = (list: readonly Container[] | undefined): Map<string, Container> =>
    new Map((list ?? []).map((container) => [container.name, container]));
  const containers = sizes(wanted?.containers);
  const initContainers = sizes(wanted?.initContainers);
  const pod = (wanted as { resources?: object } | undefined)?.resources;
  keepAllBut(object, old, []);
  const spec = (object as Pod).spec;
  if (!isObject(spec)) return;
  const resize = (
    list: readonly Container[] | undefined,
    by: Map<string, Container>,
  ): Container[] | undefined =>
    list?.map((container) => {
      const { resources, resizePolicy } = by.get(container.name) ?? container;
      return {
        ...container,
        ...(resources && { resources }),
        ...(resizePolicy && { resizePolicy }),
      };
    });
  const next = spec as unknown as {
    containers?: Container[];
    initContainers?: Container[];
    resources?: object;
  };
  const main = resize(next.containers, containers);
  if (main !== undefined) next.containers = main;
  const init = resize(next.initContainers, initContainers);
  if (init !== undefined) next.initContainers = init;
  if (pod !== undefined) next.resources = pod;
}

/** Approving a certificate request changes its conditions, never the certificate. */
function keepApproval(object: ApiObject, old: Stored): void {
  const request = object as CertificateSigningRequest;
  const conditions = request.status?.conditions;
  const before = (old as CertificateSigningRequest).status ?? {};
  const resource = { custom: false, bucket: "certificates.k8s.io/certificatesigningrequests" };
  keepSpec(resource, object, old);
  request.status = { ...before, ...(conditions !== undefined && { conditions }) };
}

function keepFinalizers(object: ApiObject, old: Stored): void {
  keepAllBut(object, old, ["finalizers"]);
}

const READ_WRITE = ["get", "patch", "update"];

export const parts: readonly Subresource[] = [
  part("ephemeralcontainers", "core/pods", READ_WRITE, keepEphemeral),
  part("resize", "core/pods", READ_WRITE, keepResize),
  part("approval", "certificates.k8s.io/certificatesigningrequests", READ_WRITE, keepApproval),
  part("finalize", "core/namespaces", ["update"], keepFinalizers),
];
