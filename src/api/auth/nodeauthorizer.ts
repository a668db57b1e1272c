/**
 * What a node's agent may do: read what its pods need, write about itself. The rest is left to
 * RBAC. https://kubernetes.io/docs/reference/access-authn-authz/node/
 */
import type { Access, AuthorizerLink, Opinion } from "#api/auth/authorize.ts";
import { NODE_RULES } from "#api/auth/defaults.ts";
import { isMirror, references } from "#api/auth/podrefs.ts";
import { allows } from "#api/auth/rules.ts";
import { requiredField, requiredLabel } from "#api/auth/selected.ts";
import { peek } from "#api/codec.ts";
import type { UserInfo } from "#api/core.ts";
import { isLocalVolume, nodeLabel, VOLUME_NODE } from "#resources/localvolume.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import type {
  Ingress,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
} from "#resources/types.gen.ts";
import type { Store } from "#store/store.ts";

/** The part of an object that names its node. */
type Placed = ApiObject & { spec?: { nodeName?: string } };

const ALLOW: Opinion = { verdict: "allow" };
const none = (reason: string): Opinion => ({ verdict: "none", reason });
const PREFIX = "system:node:";
/** https://kubernetes.io/docs/tasks/administer-cluster/dns-custom-nameservers/ */
const DNS_CONFIG = "kube-dns";

/** The node that a user is; undefined for anybody else. */
export function nodeNameOf(user: UserInfo): string | undefined {
  if (!user.name.startsWith(PREFIX) || !user.groups.includes("system:nodes")) return undefined;
  return user.name.slice(PREFIX.length);
}

/** Volumes that a node holds itself: it watches them, and says what became of them. */
async function holdsVolume(store: Store, nodeName: string, access: Access): Promise<boolean> {
  const { verb, name, subresource } = access;
  if (subresource !== undefined) return false;
  const label = nodeLabel(nodeName);
  if (!name) {
    return ["list", "watch"].includes(verb) && requiredLabel(access, VOLUME_NODE) === label;
  }
  if (!["get", "patch"].includes(verb)) return false;
  const item = await store.get(`core/persistentvolumes/${name}`);
  if (item === undefined) return false;
  const held = peek<PersistentVolume>(item);
  return isLocalVolume(held) && held.metadata?.labels?.[VOLUME_NODE] === label;
}

/** Every node serves DNS, and this says where it forwards to. */
function isDnsConfig(access: Access): boolean {
  if (access.namespace !== "kube-system") return false;
  return (access.name ?? requiredField(access, "metadata.name")) === DNS_CONFIG;
}

class NodeAuthorizer implements AuthorizerLink {
  readonly name = "Node";
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async #podsOn(nodeName: string, namespace: string | undefined): Promise<Stored<Pod>[]> {
    const prefix = namespace === undefined ? "core/pods/" : `core/pods/${namespace}/`;
    const filter = ({ fields }: { fields: Readonly<Record<string, string>> }): boolean =>
      fields["spec.nodeName"] === nodeName;
    const page = await this.#store.list({ prefix, filter });
    return page.items.map((item) => peek<Pod>(item));
  }

  /** Every node serves every Ingress, so it needs their certificates. */
  async #inIngress({ namespace, name }: Access): Promise<boolean> {
    const page = await this.#store.list({ prefix: `networking.k8s.io/ingresses/${namespace}/` });
    return page.items.some((item) =>
      (peek<Ingress>(item).spec?.tls ?? []).some((tls) => tls.secretName === name),
    );
  }

  async #byPod(nodeName: string, access: Access): Promise<boolean> {
    const { plural = "", name = "", namespace } = access;
    const pods = await this.#podsOn(nodeName, namespace);
    return pods.some((pod) => !isMirror(pod) && references(pod, plural).has(name));
  }

  async #object(nodeName: string, access: Access): Promise<Opinion> {
    if (access.subresource !== undefined) return none("cannot read subresource");
    if (!["get", "list", "watch"].includes(access.verb)) {
      return none("can only read resources of this type");
    }
    if (!access.namespace) return none("can only read namespaced object of this type");
    if (access.plural === "configmaps" && isDnsConfig(access)) return ALLOW;
    if (!access.name) return none("No Object name found");
    if (await this.#byPod(nodeName, access)) return ALLOW;
    if (access.plural === "secrets" && (await this.#inIngress(access))) return ALLOW;
    return none(`no relationship found between node '${nodeName}' and this object`);
  }

  async #claim(nodeName: string, access: Access): Promise<Opinion> {
    const status = access.subresource === "status" && ["update", "patch"].includes(access.verb);
    if (access.verb !== "get" && !status)
      return none("can only get individual resources of this type");
    if (await this.#byPod(nodeName, access)) return ALLOW;
    return none(`no relationship found between node '${nodeName}' and this object`);
  }

  async #volume(nodeName: string, access: Access): Promise<Opinion> {
    if (await holdsVolume(this.#store, nodeName, access)) return ALLOW;
    const missing = none(`no relationship found between node '${nodeName}' and this object`);
    const item = await this.#store.get(`core/persistentvolumes/${access.name}`);
    if (access.verb !== "get" || item === undefined) return missing;
    const { namespace, name } = peek<PersistentVolume>(item).spec?.claimRef ?? {};
    if (!namespace || !name) return missing;
    const bound = await this.#store.get(`core/persistentvolumeclaims/${namespace}/${name}`);
    if (bound === undefined) return missing;
    if (peek<PersistentVolumeClaim>(bound).spec?.volumeName !== access.name) return missing;
    const about = { ...access, namespace, name, plural: "persistentvolumeclaims" };
    return (await this.#byPod(nodeName, about)) ? ALLOW : missing;
  }

  async #deviceClaim(nodeName: string, access: Access): Promise<Opinion> {
    if (access.verb !== "get") return none("can only get individual resources of this type");
    if (access.subresource !== undefined) return none("cannot get subresource");
    if (await this.#byPod(nodeName, access)) return ALLOW;
    return none(`no relationship found between node '${nodeName}' and this object`);
  }

  /** Reads a cluster-scoped object that names a node in its spec. */
  async #isOf(nodeName: string, key: string): Promise<boolean> {
    const item = await this.#store.get(key);
    return item !== undefined && peek<Placed>(item).spec?.nodeName === nodeName;
  }

  async #attachment(nodeName: string, { verb, subresource, name }: Access): Promise<Opinion> {
    if (verb !== "get") return none("can only get individual resources of this type");
    if (subresource !== undefined) return none("cannot get subresource");
    if (await this.#isOf(nodeName, `storage.k8s.io/volumeattachments/${name}`)) return ALLOW;
    return none(`no relationship found between node '${nodeName}' and this object`);
  }

  async #slice(nodeName: string, access: Access): Promise<Opinion> {
    const { verb, subresource, name } = access;
    if (subresource !== undefined) return none("cannot authorize ResourceSlice subresources");
    if (verb === "create") return ALLOW;
    if (["get", "update", "patch", "delete"].includes(verb)) {
      if (await this.#isOf(nodeName, `resource.k8s.io/resourceslices/${name}`)) return ALLOW;
      return none(`no relationship found between node '${nodeName}' and this object`);
    }
    if (requiredField(access, "spec.nodeName") === nodeName) return ALLOW;
    return none("can only list/watch/deletecollection resourceslices with nodeName field selector");
  }

  async #account(nodeName: string, access: Access): Promise<Opinion> {
    const { verb, subresource, name } = access;
    const token = verb === "create" && subresource === "token" && Boolean(name);
    const read = verb === "get" && subresource === undefined;
    if (!token && !read) return none("can only create tokens for individual service accounts");
    if (await this.#byPod(nodeName, access)) return ALLOW;
    return none(`no relationship found between node '${nodeName}' and this object`);
  }

  #lease(nodeName: string, { verb, namespace, name }: Access): Opinion {
    if (!["get", "create", "update", "patch", "delete"].includes(verb)) {
      return none("can only get, create, update, patch, or delete a node lease");
    }
    if (namespace !== "kube-node-lease") {
      return none('can only access leases in the "kube-node-lease" system namespace');
    }
    if (verb === "create" || name === nodeName) return ALLOW;
    return none("can only access node lease with the same name as the requesting node");
  }

  #own(nodeName: string, { verb, name, subresource }: Access, what: string): Opinion {
    if (subresource !== undefined) return none(`cannot authorize ${what} subresources`);
    if (verb === "create" || name === nodeName) return ALLOW;
    return none(`can only access ${what} with the same name as the requesting node`);
  }

  #node(nodeName: string, { verb, name, subresource }: Access): Opinion {
    if (subresource === "status") return ["update", "patch"].includes(verb) ? ALLOW : none("");
    if (subresource !== undefined) return none("");
    if (["create", "update", "patch"].includes(verb)) return ALLOW;
    if (["get", "list", "watch"].includes(verb) && name === nodeName) return ALLOW;
    return none(`node '${nodeName}' cannot read all nodes, only its own Node object`);
  }

  async #pod(nodeName: string, access: Access): Promise<Opinion> {
    const { verb, subresource, name, namespace } = access;
    if (subresource === "status") return ["update", "patch"].includes(verb) ? ALLOW : none("");
    if (subresource === "eviction") return verb === "create" ? ALLOW : none("");
    if (subresource !== undefined) return none("");
    if (verb === "create" || verb === "delete") return ALLOW;
    if (!["get", "list", "watch"].includes(verb)) return none("");
    if (requiredField(access, "spec.nodeName") === nodeName) return ALLOW;
    if (!name) return none("can only list/watch pods with spec.nodeName field selector");
    const pods = await this.#podsOn(nodeName, namespace);
    return pods.some((each) => each.metadata.name === name)
      ? ALLOW
      : none(`no relationship found between node '${nodeName}' and this object`);
  }

  #choose(nodeName: string, access: Access): Opinion | Promise<Opinion> {
    switch (access.path === undefined ? `${access.group ?? ""}/${access.plural}` : "") {
      case "/secrets":
      case "/configmaps":
        return this.#object(nodeName, access);
      case "/persistentvolumeclaims":
        return this.#claim(nodeName, access);
      case "/persistentvolumes":
        return this.#volume(nodeName, access);
      case "/serviceaccounts":
        return this.#account(nodeName, access);
      case "coordination.k8s.io/leases":
        return this.#lease(nodeName, access);
      case "resource.k8s.io/resourceclaims":
        return this.#deviceClaim(nodeName, access);
      case "resource.k8s.io/resourceslices":
        return this.#slice(nodeName, access);
      case "storage.k8s.io/volumeattachments":
        return this.#attachment(nodeName, access);
      case "storage.k8s.io/csinodes":
        return this.#own(nodeName, access, "CSINode");
      case "/nodes":
        return this.#node(nodeName, access);
      case "/pods":
        return this.#pod(nodeName, access);
      default:
        return NODE_RULES.some((rule) => allows(rule, access)) ? ALLOW : none("");
    }
  }

  decide(access: Access): Opinion | Promise<Opinion> {
    const nodeName = nodeNameOf(access.user);
    if (nodeName === undefined) return { verdict: "none" };
    if (nodeName === "") return none(`unknown node for user "${access.user.name}"`);
    return this.#choose(nodeName, access);
  }
}

export const nodeAuthorizer = (store: Store): AuthorizerLink => new NodeAuthorizer(store);
