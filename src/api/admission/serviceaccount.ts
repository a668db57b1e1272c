/**
 * Gives each pod a service account and its token.
 * https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#serviceaccount
 */
import type { Attributes, MakePlugin } from "#api/admission.ts";
import { isMirror, referenceOf } from "#api/auth/podrefs.ts";
import { peek } from "#api/codec.ts";
import { ensure } from "#api/ensure.ts";
import { refuse } from "#api/errors.ts";
import { nameSuffix, type Random } from "#base/random.ts";
import type { Stored } from "#resources/meta.ts";
import { TOKEN_VOLUME_PREFIX } from "#resources/tokenvolume.ts";
import type { Container, Pod, ServiceAccount, Volume } from "#resources/types.gen.ts";

const DEFAULT = "default";
const MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";
const TOKEN_SECONDS = 3607;

function tokenVolume(name: string): Volume {
  return {
    name,
    projected: {
      defaultMode: 0o644,
      sources: [
        { serviceAccountToken: { expirationSeconds: TOKEN_SECONDS, path: "token" } },
        { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
        {
          downwardAPI: {
            items: [
              {
                path: "namespace",
                fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" },
              },
            ],
          },
        },
      ],
    },
  };
}

const wantsToken = (pod: Pod, account: ServiceAccount): boolean =>
  pod.spec?.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true;

/** Mounts the token everywhere where nothing else is mounted in its place. */
function mountToken(pod: Pod, random: Random): void {
  const { spec } = pod;
  if (spec === undefined) return;
  const there = spec.volumes?.find((volume) => volume.name.startsWith(TOKEN_VOLUME_PREFIX));
  const name = there?.name ?? TOKEN_VOLUME_PREFIX + nameSuffix(random);
  let used = false;
  const mount = (container: Container): void => {
    const mounts = container.volumeMounts ?? [];
    if (mounts.some((each) => each.mountPath === MOUNT_PATH)) return;
    container.volumeMounts = [...mounts, { name, readOnly: true, mountPath: MOUNT_PATH }];
    used = true;
  };
  for (const container of spec.initContainers ?? []) mount(container);
  for (const container of spec.containers ?? []) mount(container);
  if (used && there === undefined) spec.volumes = [...(spec.volumes ?? []), tokenVolume(name)];
}

/** A mirror pod represents a static pod. Static pods may not reference API objects. */
function checkMirror({ resource, name, object }: Attributes): void {
  const used = referenceOf(object as Pod);
  if (used === undefined) return;
  throw refuse.forbidden(resource.kind, name, `a mirror pod may not reference ${used}`);
}

export const serviceAccount: MakePlugin = (core) => {
  /** The default account is made when it is needed first: nobody has to wait for a controller. */
  async function accountOf(attributes: Attributes, name: string): Promise<Stored<ServiceAccount>> {
    const { namespace = "", resource } = attributes;
    const key = `core/serviceaccounts/${namespace}/${name}`;
    let item = core.store.known(key) ?? (await core.store.get(key));
    if (item === undefined && name === DEFAULT) {
      await ensure(core, {
        apiVersion: "v1",
        kind: "ServiceAccount",
        metadata: { name, namespace },
      });
      item = await core.store.get(key);
    }
    if (item !== undefined) return peek<ServiceAccount>(item);
    const why =
      `error looking up service account ${namespace}/${name}: serviceaccount ` +
      `"${name}" not found`;
    throw refuse.forbidden(resource.kind, attributes.name, why);
  }

  async function admit(attributes: Attributes): Promise<void> {
    const pod = attributes.object as Pod;
    const { spec } = pod;
    if (spec === undefined) return;
    if (isMirror(pod)) return checkMirror(attributes);
    spec.serviceAccountName ||= DEFAULT;
    // The old name of the field is filled too (API reference, PodSpec.serviceAccount).
    spec.serviceAccount = spec.serviceAccountName;
    const account = await accountOf(attributes, spec.serviceAccountName);
    if (wantsToken(pod, account)) mountToken(pod, core.random);
    if ((spec.imagePullSecrets ?? []).length === 0) {
      const secrets = account.imagePullSecrets ?? [];
      if (secrets.length > 0) spec.imagePullSecrets = secrets.map(({ name = "" }) => ({ name }));
    }
  }

  return {
    name: "ServiceAccount",
    mutate(attributes) {
      const { resource, operation, subresource } = attributes;
      if (resource.bucket !== "core/pods" || operation !== "CREATE" || subresource !== "") return;
      return admit(attributes);
    },
  };
};
