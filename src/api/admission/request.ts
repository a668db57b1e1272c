/** What webhooks and expressions are told of a request. */
import type { Attributes } from "#api/admission.ts";
import type { Resource } from "#api/registry.ts";

const typeOf = ({ group, version, kind }: { group: string; version: string; kind: string }) => ({
  group,
  version,
  kind,
});

/**
 * `request` of an AdmissionReview, without the objects. `seen` is the version that a webhook asked
 * for, where that is another than the request's.
 */
export function requestOf(
  attributes: Attributes,
  seen: Resource = attributes.resource,
): Record<string, unknown> {
  const { resource, subresource, namespace, name, operation, user, dryRun } = attributes;
  const { kind } = resource;
  const about = { group: kind.group, version: kind.version, resource: kind.plural };
  // What opens a stream is about its options.
  const options = operation === "CONNECT" ? attributes.object?.kind : undefined;
  const shown = (of: typeof kind) => typeOf(options === undefined ? of : { ...of, kind: options });
  const { group, version, plural } = seen.kind;
  return {
    kind: shown(seen.kind),
    resource: { group, version, resource: plural },
    ...(subresource !== "" && { subResource: subresource }),
    requestKind: shown(kind),
    requestResource: about,
    ...(subresource !== "" && { requestSubResource: subresource }),
    name,
    ...(namespace !== undefined && { namespace }),
    operation,
    userInfo: {
      username: user.name,
      ...(user.uid !== undefined && { uid: user.uid }),
      groups: user.groups,
      ...(user.extra !== undefined && { extra: user.extra }),
    },
    dryRun,
  };
}
