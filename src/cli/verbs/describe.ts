/** bramble describe */
import { UsageError } from "#base/errors.ts";
import { ask, StatusFailure } from "#cli/api.ts";
import { describeObject } from "#cli/describe/all.ts";
import { discover, type Resource } from "#cli/resources.ts";
import {
  act,
  collected,
  explain,
  isSet,
  type Options,
  type Session,
  textOf,
} from "#cli/session.ts";
import {
  collectionPath,
  filesOf,
  listAll,
  parseSelections,
  targetPath,
  targetsOf,
} from "#cli/targets.ts";
import { ExitStatus, type VerbModule } from "#cli/verb.ts";
import type { Stored } from "#resources/meta.ts";

interface Found {
  resource: Resource;
  object: Stored;
}

/** One by its name; where there is none of that name, all that begin with it, as upstream. */
async function byName(
  session: Session,
  resource: Resource,
  namespace: string | undefined,
  name: string,
) {
  try {
    return [await ask<Stored>(session.client, { path: targetPath({ resource, namespace, name }) })];
  } catch (error) {
    if (!(error instanceof StatusFailure) || error.code !== 404) throw error;
    const { items } = await listAll(session, collectionPath(resource, namespace));
    const found = items.filter(({ metadata }) => metadata.name.startsWith(name));
    if (found.length === 0) throw error;
    return found;
  }
}

async function find(session: Session, args: string[], options: Options): Promise<Found[]> {
  const found: Found[] = [];
  const add = (resource: Resource, objects: Stored[]): void => {
    found.push(...objects.map((object) => ({ resource, object })));
  };
  if (filesOf(options).length > 0) {
    for (const { resource, namespace, name } of await targetsOf(session, args, options)) {
      add(resource, await byName(session, resource, namespace, name));
    }
    return found;
  }
  if (args.length === 0) throw new UsageError("You must specify the type of resource to describe.");
  const everywhere = isSet(options, "allNamespaces");
  const labelSelector = textOf(options, "selector");
  for (const { resource, names } of parseSelections(await discover(session.client), args)) {
    const namespace = resource.namespaced && !everywhere ? session.namespace : undefined;
    for (const name of names) add(resource, await byName(session, resource, namespace, name));
    if (names.length > 0) continue;
    add(
      resource,
      (await listAll(session, collectionPath(resource, namespace), { labelSelector })).items,
    );
  }
  return found;
}

async function describe(session: Session, args: string[], options: Options): Promise<void> {
  const { io } = session;
  const found = await find(session, args, options);
  if (found.length === 0) {
    const where = isSet(options, "allNamespaces") ? "" : ` in ${session.namespace} namespace.`;
    io.err(`No resources found${where}\n`);
    return;
  }
  let status = 0;
  for (const [at, { resource, object }] of found.entries()) {
    try {
      const text = await describeObject(session, resource, object);
      io.out(`${at > 0 ? "\n\n" : ""}${text}`);
    } catch (error) {
      if (!(error instanceof StatusFailure)) throw error;
      status = explain(error, io);
    }
  }
  if (status !== 0) throw new ExitStatus(status);
}

export const define: VerbModule["define"] = (command, io) => {
  command
    .option("-f, --filename <file>", "objects that a file names", collected)
    .option("-R, --recursive", "take folders with all that is below them")
    .option("-l, --selector <labels>", "objects with these labels")
    .option("-A, --all-namespaces", "in all namespaces");
  act(command, io, describe);
};
