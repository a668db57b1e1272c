/** bramble apply: makes objects as files have them, by server-side apply. */
import { UsageError } from "#base/errors.ts";
import { ask, StatusFailure } from "#cli/api.ts";
import { type FileObject, readObjects } from "#cli/files.ts";
import { escapedJson, nameText, printerFor } from "#cli/output.ts";
import { discover, type Resource, typeName } from "#cli/resources.ts";
import {
  act,
  collected,
  explain,
  isSet,
  type Options,
  type Session,
  textOf,
} from "#cli/session.ts";
import { filesOf, namespaceFor, resourceFor, type Target, targetPath } from "#cli/targets.ts";
import { ExitStatus, type VerbModule } from "#cli/verb.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import { sortedKeys } from "#resources/sorted.ts";
import type { ManagedFieldsEntry } from "#resources/types.gen.ts";

const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";
const KUBECTL_CLIENT = "kubectl-client-side-apply";
/** Fields that kubectl applied from the client belong to this manager from then on. */
const MANAGER = "bramble-apply";
const VALIDATION: Readonly<Record<string, string>> = {
  strict: "Strict",
  true: "Strict",
  warn: "Warn",
  ignore: "Ignore",
  false: "Ignore",
};

interface Settings {
  serverSide: boolean;
  force: boolean;
  manager: string;
  fieldValidation: string;
  dryRun: "none" | "server" | "client";
}

function settingsFrom(options: Options): Settings {
  const dryRun = textOf(options, "dryRun") ?? "none";
  if (dryRun !== "none" && dryRun !== "server" && dryRun !== "client") {
    throw new UsageError(
      `Invalid dry-run value (${dryRun}). Must be "none", "server", or "client".`,
    );
  }
  const validate = textOf(options, "validate") ?? "strict";
  const fieldValidation = VALIDATION[validate];
  if (fieldValidation === undefined) {
    throw new UsageError(
      `invalid - validate option ${validate}; must be one of: strict, warn, ignore`,
    );
  }
  const serverSide = isSet(options, "serverSide");
  return {
    serverSide,
    force: !serverSide || isSet(options, "forceConflicts"),
    manager: textOf(options, "fieldManager") ?? (serverSide ? "kubectl" : MANAGER),
    fieldValidation,
    dryRun,
  };
}

/** As kubectl writes it in its annotation, so that it finds nothing changed where nothing is. */
const canonicalJson = (value: unknown): string =>
  `${escapedJson(JSON.stringify(sortedKeys(value)))}\n`;

/** What kubectl on another machine compares with, so that either may be used. */
function annotated(object: ApiObject): ApiObject {
  const { [LAST_APPLIED]: _, ...annotations } = object.metadata?.annotations ?? {};
  const bare = { ...object, metadata: { ...object.metadata, annotations } };
  const text = canonicalJson(bare);
  return {
    ...bare,
    metadata: { ...bare.metadata, annotations: { ...annotations, [LAST_APPLIED]: text } },
  };
}

/**
 * kubectl's client-side apply owns its fields as an update; they are handed to this manager, or
 * else what a file no longer has would stay
 * (kubernetes.io/docs/reference/using-api/server-side-apply, upgrading).
 */
async function adopted(
  session: Session,
  target: Target,
  live: Stored,
  manager: string,
): Promise<Stored> {
  const entries = live.metadata.managedFields ?? [];
  const foreign = (entry: ManagedFieldsEntry): boolean =>
    entry.manager === KUBECTL_CLIENT && entry.operation === "Update" && !entry.subresource;
  const at = entries.findIndex(foreign);
  if (at < 0 || entries.some((each) => each.manager === manager && each.operation === "Apply")) {
    return live;
  }
  const body = [
    { op: "test", path: "/metadata/resourceVersion", value: live.metadata.resourceVersion },
    { op: "replace", path: `/metadata/managedFields/${at}/manager`, value: manager },
    { op: "replace", path: `/metadata/managedFields/${at}/operation`, value: "Apply" },
  ];
  const type = "application/json-patch+json";
  return ask<Stored>(session.client, { method: "PATCH", path: targetPath(target), body, type });
}

async function liveOf(session: Session, target: Target): Promise<Stored | undefined> {
  try {
    return await ask<Stored>(session.client, { path: targetPath(target) });
  } catch (error) {
    if (error instanceof StatusFailure && error.code === 404) return undefined;
    throw error;
  }
}

/** Without what tells who wrote and when: taking over a field as it is changes nothing. */
function bare(object: Stored): object {
  const { managedFields: _, resourceVersion: __, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function outcome(settings: Settings, live: Stored | undefined, result: Stored): string {
  const dry = settings.dryRun === "none" ? "" : ` (${settings.dryRun} dry run)`;
  if (settings.serverSide) return `serverside-applied${dry}`;
  if (live === undefined) return `created${dry}`;
  const same = canonicalJson(bare(live)) === canonicalJson(bare(result));
  return `${same ? "unchanged" : "configured"}${dry}`;
}

async function patched(
  session: Session,
  settings: Settings,
  target: Target,
  object: ApiObject,
): Promise<{ live: Stored | undefined; result: Stored }> {
  let live = await liveOf(session, target);
  if (settings.dryRun === "client") return { live, result: { ...live, ...object } as Stored };
  if (live !== undefined && settings.dryRun === "none") {
    live = await adopted(session, target, live, settings.manager);
  }
  const result = await ask<Stored>(session.client, {
    method: "PATCH",
    path: targetPath(target),
    type: "application/apply-patch+yaml",
    query: {
      fieldManager: settings.manager,
      force: settings.force,
      fieldValidation: settings.fieldValidation,
      dryRun: settings.dryRun === "server" ? "All" : undefined,
    },
    body: settings.serverSide ? object : annotated(object),
  });
  return { live, result };
}

async function applyOne(
  session: Session,
  settings: Settings,
  resource: Resource,
  { object, source }: FileObject,
): Promise<{ target: Target; text: string; result: Stored }> {
  const namespace = namespaceFor(session, resource, object);
  const name = object.metadata?.name ?? "";
  if (name === "") throw new UsageError(`error when applying "${source}": a name is needed`);
  const target = { resource, namespace, name };
  const whole = {
    ...object,
    metadata: { ...object.metadata, ...(namespace !== undefined && { namespace }) },
  };
  try {
    const { live, result } = await patched(session, settings, target, whole);
    return { target, text: outcome(settings, live, result), result };
  } catch (error) {
    if (!(error instanceof StatusFailure) || error.reason === "Invalid") throw error;
    throw error.while(`error when applying "${source}"`);
  }
}

async function apply(session: Session, args: string[], options: Options): Promise<void> {
  const { io } = session;
  if (args.length > 0) throw new UsageError(`Unexpected args: [${args.join(" ")}]`);
  const paths = filesOf(options);
  if (paths.length === 0) throw new UsageError("must specify one of -f and -k");
  const settings = settingsFrom(options);
  const form = textOf(options, "output");
  const printer = form === undefined || form === "name" ? undefined : printerFor(form);
  const objects = await readObjects(paths, { recursive: isSet(options, "recursive"), io });
  let resources = await discover(session.client);
  let status = 0;
  for (const each of objects) {
    try {
      // A kind that an earlier object of the same file defines is served from now on.
      const known = resources.some((r) => r.kind === each.object.kind);
      if (!known) resources = await discover(session.client);
      const resource = resourceFor(resources, each);
      const { target, text, result } = await applyOne(session, settings, resource, each);
      if (printer !== undefined) io.out(printer(result));
      else if (form === "name") io.out(nameText(typeName(resource), result));
      else io.out(`${typeName(resource)}/${target.name} ${text}\n`);
    } catch (error) {
      status = explain(error, io);
    }
  }
  if (status !== 0) throw new ExitStatus(status);
}

export const define: VerbModule["define"] = (command, io) => {
  command
    .option("-f, --filename <file>", "file or folder with objects; - is standard input", collected)
    .option("-R, --recursive", "take folders with all that is below them")
    .option("-o, --output <form>", "yaml, json, name, jsonpath=…")
    .option("--dry-run <how>", "none, client or server", "none")
    .option("--server-side", "say what others own instead of taking it over")
    .option("--force-conflicts", "with --server-side: take over what others own")
    .option("--field-manager <name>", "who the fields belong to")
    .option("--validate <how>", "unknown fields: strict, warn or ignore", "strict");
  act(command, io, apply);
};
