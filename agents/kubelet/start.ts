/** Starts one container: configuration, files, run, postStart hook. */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { allocatedOf } from "#agents/kubelet/allocate.ts";
import { containerSpec } from "#agents/kubelet/containerspec.ts";
import type { PodWork } from "#agents/kubelet/context.ts";
import { environment, expand, neededObjects, type Variable } from "#agents/kubelet/env.ts";
import { fqdnOf, hostsFile, resolverFile } from "#agents/kubelet/files.ts";
import { nextBackoff } from "#agents/kubelet/plan.ts";
import type { Grant } from "#agents/kubelet/pluginwire.ts";
import { hashOf, isRunning, membersOf, specOf } from "#agents/kubelet/pod.ts";
import { downwardSource, volumeRequest } from "#agents/kubelet/sources.ts";
import type { Member, RunRecord, Step } from "#agents/kubelet/types.ts";
import { type ImageInfo, type Mount, RuntimeError } from "#agents/runtime/runtime.ts";
import { must } from "#base/assert.ts";
import { messageOf } from "#base/errors.ts";
import { services } from "#resources/kinds/service.ts";
import type { Service } from "#resources/types.gen.ts";

type Start = Extract<Step, { do: "start" }>;

/** The runtime's exit code where it could not start the program (containerd's CRI). */
const START_ERROR_CODE = 128;

/** Why a container cannot be created; shown as its state. */
class CreateError extends Error {
  override name = "CreateError";
  readonly reason: string;
  constructor(reason: string, cause: unknown) {
    super(messageOf(cause), { cause });
    this.reason = reason;
  }
}

function visibleServices(worker: PodWork): Service[] {
  const cache = worker.context.caches.of(services);
  const own = cache.list(worker.record.namespace);
  const master = cache.get("default/kubernetes");
  return master === undefined ? [...own] : [...own, master];
}

async function variablesOf(worker: PodWork, member: Member): Promise<Variable[]> {
  const { context, record } = worker;
  const data = new Map<string, Record<string, string> | undefined>();
  const needed = neededObjects(member.spec);
  await Promise.all(
    needed.map(async ({ kind, name }) => {
      const bytes = await context.objects.get(kind, record.namespace, name);
      const text =
        bytes &&
        Object.fromEntries([...bytes].map(([key, value]) => [key, Buffer.from(value).toString()]));
      data.set(`${kind}/${name}`, text);
    }),
  );
  const links = specOf(worker.pod).enableServiceLinks ?? true;
  if (links) await context.caches.of(services).whenSynced();
  return environment(
    {
      ...downwardSource(worker),
      data: ({ kind, name }) => data.get(`${kind}/${name}`),
      services: visibleServices(worker),
    },
    member.spec,
  );
}

/** The pod's /etc/hosts and /etc/resolv.conf, written once for each sandbox. */
async function podFiles(worker: PodWork): Promise<{ hosts: string; resolver: string }> {
  const { options, records } = worker.context;
  const directory = records.directory(worker.uid);
  const hosts = `${directory}/etc-hosts`;
  const resolver = `${directory}/resolv.conf`;
  const nodeHosts =
    specOf(worker.pod).hostNetwork === true
      ? await readFile(options.hostsFile ?? "/etc/hosts", "utf8").catch(() => "")
      : "";
  const nodeResolver = await readFile(options.resolvConf ?? "/etc/resolv.conf", "utf8").catch(
    () => "",
  );
  const ips = worker.record.sandbox?.ips ?? [];
  mkdirSync(directory, { recursive: true });
  writeFileSync(hosts, hostsFile(worker.pod, ips, options.dns.domain, nodeHosts));
  writeFileSync(resolver, resolverFile(worker.pod, options.dns, nodeResolver));
  return { hosts, resolver };
}

const fileMount = (source: string, target: string): Mount => ({ source, target, readOnly: false });

async function mountsOf(
  worker: PodWork,
  member: Member,
  env: readonly Variable[],
  attempt: number,
): Promise<Mount[]> {
  const { context } = worker;
  const values = new Map(env.map(({ name, value }) => [name, value]));
  const own = await context.volumes.mounts(
    must(worker.volumes, "volumes of the pod"),
    member.spec.volumeMounts ?? [],
    (text) => expand(text, (name) => values.get(name)),
    volumeRequest(worker),
  );
  const taken = new Set(own.map(({ target }) => target.replace(/\/+$/, "")));
  const { hosts, resolver } = await podFiles(worker);
  const message = terminationFile(worker, member.spec.name, attempt);
  writeFileSync(message, "");
  // Whatever user the container runs as must be able to write it; a mode at creation meets the
  // umask.
  chmodSync(message, 0o666);
  const managed = [
    fileMount(hosts, "/etc/hosts"),
    fileMount(resolver, "/etc/resolv.conf"),
    fileMount(message, member.spec.terminationMessagePath ?? "/dev/termination-log"),
  ];
  return [...managed.filter(({ target }) => !taken.has(target)), ...own];
}

export function terminationFile(worker: PodWork, container: string, attempt: number): string {
  const directory = `${worker.context.records.directory(worker.uid)}/messages`;
  mkdirSync(directory, { recursive: true });
  return `${directory}/${container}.${attempt}`;
}

export function logFile(worker: PodWork, container: string, attempt: number): string {
  const directory = `${worker.context.records.directory(worker.uid)}/logs/${container}`;
  mkdirSync(directory, { recursive: true });
  return `${directory}/${attempt}.log`;
}

function runningId(worker: PodWork, name: string | undefined): string | undefined {
  const run = name === undefined ? undefined : worker.record.containers[name]?.current;
  return isRunning(run) ? run.id : undefined;
}

/** The machine's devices that the pod was given, and block volumes at the paths it wants them. */
function devicesFor(worker: PodWork, { spec }: Member, grants: readonly Grant[]): string[] {
  const blocks = (spec.volumeDevices ?? []).map(({ name, devicePath }) => {
    const volume = must(worker.volumes?.get(name), `volume ${name}`);
    return `${volume.path}:${devicePath}`;
  });
  const plugged = grants.flatMap(({ devices }) => devices);
  return [...(worker.record.devices?.[spec.name] ?? []), ...plugged, ...blocks];
}

async function specFor(worker: PodWork, member: Member, image: ImageInfo, attempt: number) {
  const { context, record } = worker;
  const { options } = context;
  const grants = await context.plugins.grants(record.plugged?.[member.spec.name]);
  const env = [...grants.flatMap((grant) => grant.env), ...(await variablesOf(worker, member))];
  const shared = specOf(worker.pod).shareProcessNamespace === true;
  const leader = membersOf(worker.pod).find(
    ({ spec }) => spec.name !== member.spec.name && runningId(worker, spec.name) !== undefined,
  );
  const pauseId = shared ? record.sandbox?.pauseId : undefined;
  const leaderId = pauseId ?? runningId(worker, leader?.spec.name);
  const logPath = logFile(worker, member.spec.name, attempt);
  writeFileSync(logPath, "", { flag: "a" });
  const resources = allocatedOf(record, member.spec) ?? {};
  return containerSpec({
    pod: worker.pod,
    member: { ...member, spec: { ...member.spec, resources } },
    attempt,
    image,
    env,
    mounts: [
      ...(await mountsOf(worker, member, env, attempt)),
      ...grants.flatMap(({ mounts }) => mounts),
    ],
    logPath,
    netnsPath: record.sandbox?.netnsPath || undefined,
    cgroupRoot: options.cgroupRoot,
    memoryCapacityBytes: options.capacity.memoryBytes,
    pidsLimit: options.pidsLimit,
    seccompDir: `${options.dataDir}/seccomp`,
    leaderId,
    pidLeaderId: pauseId,
    targetId: runningId(worker, member.target),
    devices: devicesFor(worker, member, grants),
    fqdn: fqdnOf(worker.pod, options.dns.domain),
    runtime: record.runtime,
    // Upstream's kubelet does so from version 2 on (singleProcessOOMKill).
    oomGroup: context.groups.version === 2,
    // Upstream's default, NoSwap; version 1 has no way to say it without a memory limit.
    noSwap: context.groups.limitsSwap(options.cgroupRoot),
    pageSizes: context.groups.has("hugetlb") ? Object.keys(options.capacity.hugePages ?? {}) : [],
  });
}

/** The new run becomes the current one, the old one the last. */
function keepRun(worker: PodWork, step: Start, run: RunRecord): void {
  const { record, context } = worker;
  const before = record.containers[step.container];
  const backoff = step.afterFailure ? nextBackoff(worker.state(), step.container) : before?.backoff;
  record.containers[step.container] = {
    restarts: run.attempt,
    current: run,
    ...(before?.current !== undefined && { last: before.current }),
    ...(backoff !== undefined && { backoff }),
  };
  if (worker.member(step.container).role === "main") record.initialized = true;
  void context.records.save(record);
  // Logs and messages of the last two runs are kept.
  const stale = run.attempt - 2;
  if (stale < 0) return;
  context.logs.remove(logFile(worker, step.container, stale));
  rmSync(terminationFile(worker, step.container, stale), { force: true });
}

function newRun(worker: PodWork, step: Start, image: ImageInfo, atMs: number): RunRecord {
  const { spec } = worker.member(step.container);
  return {
    id: "",
    attempt: step.attempt,
    sandbox: worker.record.sandboxes,
    image: image.names[0] ?? spec.image ?? "",
    imageId: image.digests[0] ?? image.id,
    hash: hashOf(spec),
    startedAtMs: atMs,
    resources: allocatedOf(worker.record, spec) ?? {},
  };
}

async function prepared(worker: PodWork, member: Member, image: ImageInfo, attempt: number) {
  try {
    return await specFor(worker, member, image, attempt);
  } catch (error) {
    worker.event("Warning", "Failed", `Error: ${messageOf(error)}`, member.spec.name);
    throw new CreateError("CreateContainerConfigError", error);
  }
}

export async function startContainer(worker: PodWork, step: Start): Promise<void> {
  const { context } = worker;
  const name = step.container;
  const member = worker.member(name);
  const imageName = member.spec.image ?? "";
  const image = context.images.get(imageName) ?? (await context.images.find(imageName));
  if (image === undefined) throw new CreateError("ErrImagePull", new Error("image is gone"));
  const spec = await prepared(worker, member, image, step.attempt);
  let run = newRun(worker, step, image, context.clock.now());
  try {
    const { id } = await context.gate.run(0, () => {
      run = { ...run, startedAtMs: context.clock.now() };
      return context.runtime.run(spec);
    });
    run.id = id;
    keepRun(worker, step, run);
    context.logs.of(spec.logPath, run.startedAtMs, true);
    context.own(id, worker, name);
  } catch (error) {
    const message = messageOf(error);
    worker.event("Warning", "Failed", `Error: ${message}`, name);
    if (!(error instanceof RuntimeError) || error.reason !== "RunContainerError") throw error;
    // The program could not be run: a run that ended at once, so that restarts back off (upstream).
    const now = context.clock.now();
    const end = { exitCode: START_ERROR_CODE, reason: "StartError", message };
    keepRun(worker, step, { ...run, startedAtMs: 0, finishedAtMs: now, ...end });
    return;
  }
  if (worker.pulledFor.get(name) !== step.attempt) {
    const text = `Container image "${imageName}" already present on machine`;
    worker.event("Normal", "Pulled", text, name);
  }
  worker.event("Normal", "Created", `Created container: ${name}`, name);
  worker.event("Normal", "Started", `Started container ${name}`, name);
  await afterStart(worker, member);
}

/** The hook counts to the start: the next container waits for it, and its failure ends this one. */
async function afterStart(worker: PodWork, member: Member): Promise<void> {
  const { context, uid } = worker;
  const run = worker.record.containers[member.spec.name]?.current;
  if (!isRunning(run)) return;
  const hook = member.spec.lifecycle?.postStart;
  if (hook !== undefined) {
    try {
      await context.hooks.run(worker, member, run.id, hook, undefined);
    } catch (error) {
      const text = `PostStartHook failed: ${messageOf(error)}`;
      worker.event("Warning", "FailedPostStartHook", text, member.spec.name);
      context.probes.fail(uid, member.spec.name, "FailedPostStartHook");
      return;
    }
  }
  if (isRunning(run)) context.probes.add(worker, member, run.id);
}
