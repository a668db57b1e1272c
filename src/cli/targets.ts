/**
 * Which objects a verb is about: `TYPE NAME…`, `TYPE/NAME…`, `-f FILE`, a selector, or all of a
 * type.
 */
import { OperatorError, UsageError } from "#base/errors.ts";
import { ask } from "#cli/api.ts";
import { type FileObject, readObjects } from "#cli/files.ts";
import { discover, findResource, findResources, type Resource, typeName } from "#cli/resources.ts";
import type { Options, Session } from "#cli/session.ts";
import { isSet, textOf } from "#cli/session.ts";
import { pathOf } from "#client/http.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";

export interface Selection {
  resource: Resource;
  /** None: all of the type. */
  names: string[];
}

export interface Target {
  resource: Resource;
  namespace: string | undefined;
  name: string;
}

/** `deployment.apps/web` */
export const targetText = ({ resource, name }: Target): string => `${typeName(resource)}/${name}`;

export const targetPath = ({ resource, namespace, name }: Target, subresource?: string): string =>
  pathOf(resource, { namespace, name }, subresource);

export const collectionPath = (resource: Resource, namespace: string | undefined): string =>
  pathOf(resource, { namespace });

function withSlash(all: readonly Resource[], args: readonly string[]): Selection[] {
  return args.map((arg) => {
    const [type = "", name = "", more] = arg.split("/");
    if (type === "" || name === "" || more !== undefined) {
      throw new UsageError("arguments in resource/name form must have a single resource and name");
    }
    return { resource: findResource(all, type), names: [name] };
  });
}

/** @throws UsageError and OperatorError in kubectl's words. */
export function parseSelections(all: readonly Resource[], args: readonly string[]): Selection[] {
  if (args.some((arg) => arg.includes("/"))) {
    if (args.every((arg) => arg.includes("/"))) return withSlash(all, args);
    throw new UsageError(
      "there is no need to specify a resource type as a separate argument when passing arguments " +
        "in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of " +
        "'kubectl get resource resource/<resource_name>'",
    );
  }
  const [types = "", ...names] = args;
  const words = types.split(",").filter((word) => word !== "");
  const found = words.flatMap((word) => findResources(all, word));
  return found.map((resource) => ({ resource, names }));
}

/**
 * The resource that an object of a file belongs to. @throws OperatorError where it is not served.
 */
export function resourceFor(all: readonly Resource[], { object, source }: FileObject): Resource {
  const { apiVersion = "", kind = "", metadata } = object;
  const slash = apiVersion.indexOf("/");
  const group = slash < 0 ? "" : apiVersion.slice(0, slash);
  const version = apiVersion.slice(slash + 1);
  const found = all.find((r) => r.kind === kind && r.group === group && r.version === version);
  if (found !== undefined) return found;
  throw new OperatorError(
    `resource mapping not found for name: "${metadata?.name ?? ""}" namespace: ` +
      `"${metadata?.namespace ?? ""}" from "${source}": no matches for kind "${kind}" in version ` +
      `"${apiVersion}"`,
    { hint: "ensure CRDs are installed first" },
  );
}

/** Where an object of a file lives. @throws OperatorError where it contradicts `-n`. */
export function namespaceFor(
  session: Session,
  resource: Resource,
  object: ApiObject,
): string | undefined {
  if (!resource.namespaced) return undefined;
  const own = object.metadata?.namespace;
  if (own === undefined || own === "") return session.namespace;
  if (session.namespaceGiven && own !== session.namespace) {
    throw new OperatorError(
      `the namespace from the provided object "${own}" does not match the namespace ` +
        `"${session.namespace}". You must pass '--namespace=${own}' to perform this operation.`,
    );
  }
  return own;
}

export interface ListQuery {
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
}

const PAGE = 500;

export interface ObjectList {
  items: Stored[];
  resourceVersion: string;
}

/** All pages of a list. */
export async function listAll(
  session: Session,
  path: string,
  query: ListQuery = {},
): Promise<ObjectList> {
  const items: Stored[] = [];
  let next: string | undefined;
  for (;;) {
    const { labelSelector, fieldSelector } = query;
    const page: { items?: Stored[]; metadata?: { continue?: string; resourceVersion?: string } } =
      await ask(session.client, {
        path,
        query: { labelSelector, fieldSelector, limit: PAGE, continue: next },
      });
    items.push(...(page.items ?? []));
    next = page.metadata?.continue;
    if (!next) return { items, resourceVersion: page.metadata?.resourceVersion ?? "" };
  }
}

async function selected(session: Session, options: Options, selections: readonly Selection[]) {
  const everywhere = isSet(options, "allNamespaces");
  const query = {
    labelSelector: textOf(options, "selector"),
    fieldSelector: textOf(options, "fieldSelector"),
  };
  const targets: Target[] = [];
  for (const { resource } of selections) {
    const scope = resource.namespaced && !everywhere ? session.namespace : undefined;
    const list = await listAll(session, collectionPath(resource, scope), query);
    targets.push(
      ...list.items.map(({ metadata: { name, namespace } }) => ({ resource, namespace, name })),
    );
  }
  return targets;
}

async function fromFiles(
  session: Session,
  all: readonly Resource[],
  paths: readonly string[],
  options: Options,
): Promise<Target[]> {
  const recursive = isSet(options, "recursive");
  const objects = await readObjects(paths, { recursive, io: session.io });
  return objects.map((each) => {
    const resource = resourceFor(all, each);
    const namespace = namespaceFor(session, resource, each.object);
    return { resource, namespace, name: each.object.metadata?.name ?? "" };
  });
}

export const filesOf = (options: Options): string[] =>
  Array.isArray(options["filename"]) ? (options["filename"] as string[]) : [];

/**
 * Every object that the arguments name; lists are asked for only where a selector or `--all` says
 * so.
 */
export async function targetsOf(
  session: Session,
  args: readonly string[],
  options: Options,
): Promise<Target[]> {
  const all = await discover(session.client);
  const files = filesOf(options);
  if (files.length > 0) return fromFiles(session, all, files, options);
  if (args.length === 0) {
    throw new UsageError("You must provide one or more resources by argument or filename.");
  }
  const selections = parseSelections(all, args);
  const bySelector = ["selector", "fieldSelector"].some(
    (key) => textOf(options, key) !== undefined,
  );
  if (selections.some(({ names }) => names.length > 0)) {
    if (bySelector || isSet(options, "all")) {
      throw new UsageError("name cannot be provided when a selector is specified");
    }
    return selections.flatMap(({ resource, names }) =>
      names.map((name) => {
        const namespace = resource.namespaced ? session.namespace : undefined;
        return { resource, namespace, name };
      }),
    );
  }
  if (bySelector || isSet(options, "all")) return selected(session, options, selections);
  throw new UsageError("resource(s) were provided, but no name was specified");
}
