/** One agent without containers, over the network. */

import { realClock, sleep } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";
import { Line, type Peer, watchLines } from "#test/bench/line.ts";
import type { Tally } from "#test/bench/tally.ts";

export interface HollowNodeOptions {
  readonly peer: Peer;
  readonly nodeName: string;
  readonly token: () => Promise<string>;
  readonly tally: Tally;
}

/** What the network parts of an agent look at: these are read and thrown away. */
const WATCHED = [
  "/api/v1/services",
  "/api/v1/nodes",
  "/api/v1/namespaces",
  "/apis/discovery.k8s.io/v1/endpointslices",
  "/apis/networking.k8s.io/v1/networkpolicies",
];
const AGAIN_MS = 500;
const CAPACITY = { cpu: "64", memory: "256Gi", pods: "500" };

const timeText = (): string => `${new Date().toISOString().slice(0, 19)}Z`;
const microTime = (): string => new Date().toISOString().replace("Z", "000Z");

export class HollowNode {
  readonly #options: HollowNodeOptions;
  /** Pods by uid that were reported Running. */
  readonly #pods = new Set<string>();
  readonly #busy = new Set<string>();
  readonly #line: Line;
  #address = 0;

  constructor(options: HollowNodeOptions) {
    this.#options = options;
    this.#line = new Line(options.peer);
  }

  get running(): number {
    return this.#pods.size;
  }

  async start(): Promise<void> {
    const { nodeName } = this.#options;
    const labels = { "kubernetes.io/hostname": nodeName, "kubernetes.io/os": "linux" };
    const time = timeText();
    const ready = { type: "Ready", status: "True", reason: "KubeletReady", message: "" };
    await this.#insist("POST", "/api/v1/nodes", {
      metadata: { name: nodeName, labels },
      status: {
        capacity: CAPACITY,
        allocatable: CAPACITY,
        conditions: [{ ...ready, lastHeartbeatTime: time, lastTransitionTime: time }],
      },
    });
    await this.#insist("POST", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", {
      metadata: { name: nodeName, namespace: "kube-node-lease" },
      spec: this.#leaseSpec(),
    });
    void this.#follow(`/api/v1/pods`, `fieldSelector=spec.nodeName%3D${nodeName}`, (pod) =>
      this.#see(pod),
    );
    for (const path of WATCHED) void this.#follow(path, "");
  }

  async renew(): Promise<void> {
    const path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    const body = { spec: this.#leaseSpec() };
    const ref = `${path}/${this.#options.nodeName}`;
    await this.#ask("PATCH", ref, body).catch((error: unknown) =>
      this.#options.tally.error(`renewal: ${messageOf(error)}`),
    );
  }

  #leaseSpec() {
    const leaseDurationSeconds = limits.nodeLeaseDurationMs / 1000;
    const holderIdentity = this.#options.nodeName;
    return { holderIdentity, leaseDurationSeconds, renewTime: microTime() };
  }

  async #fields(): Promise<string[]> {
    return [`authorization: Bearer ${await this.#options.token()}`];
  }

  /** @throws for an answer of 400 and above. */
  async #ask(method: string, path: string, body: object): Promise<void> {
    const { tally } = this.#options;
    const type = method === "PATCH" ? "application/strategic-merge-patch+json" : "application/json";
    const fields = [...(await this.#fields()), `content-type: ${type}`];
    const {
      status,
      body: answer,
      tookMs,
    } = await this.#line.ask(method, path, fields, JSON.stringify(body));
    tally.add(tookMs);
    if (status < 400 || status === 404 || status === 409) return;
    throw new Error(`${status} ${answer.toString("utf8", 0, 200)}`);
  }

  /** Until it is done, as an agent does with what it has to report. */
  async #insist(method: string, path: string, body: object): Promise<void> {
    for (;;) {
      try {
        return await this.#ask(method, path, body);
      } catch (error) {
        this.#options.tally.error(`${method} ${path}: ${messageOf(error)}`);
        await sleep(realClock, AGAIN_MS);
      }
    }
  }

  /** Lists and watches for ever. Without `see` what comes is only read. */
  async #follow(path: string, query: string, see?: (pod: Stored<Pod>) => void): Promise<void> {
    for (;;) {
      try {
        const { peer } = this.#options;
        const listed = await this.#line.ask("GET", `${path}?${query}`, await this.#fields());
        const version = /"resourceVersion":"(\d+)"/.exec(
          listed.body.toString("latin1", 0, 200),
        )?.[1];
        if (see !== undefined) this.#present(listed.body.toString(), see);
        const from = `resourceVersion=${version}`;
        const watch = `${path}?watch=1&allowWatchBookmarks=1&${from}&${query}`;
        const onLine = see && ((line: string) => this.#told(line, see));
        await watchLines(peer, watch, await this.#fields(), onLine);
      } catch (error) {
        this.#options.tally.error(`watch of ${path}: ${messageOf(error)}`);
      }
      await sleep(realClock, AGAIN_MS);
    }
  }

  #present(text: string, see: (pod: Stored<Pod>) => void): void {
    for (const pod of (JSON.parse(text) as { items: Array<Stored<Pod>> }).items) see(pod);
  }

  #told(line: string, see: (pod: Stored<Pod>) => void): void {
    const { type, object } = JSON.parse(line) as { type: string; object: Stored<Pod> };
    if (type === "DELETED") this.#pods.delete(object.metadata.uid);
    else if (type === "ADDED" || type === "MODIFIED") see(object);
    else if (type === "ERROR") throw new Error(`watch: ${line.slice(0, 200)}`);
  }

  #see(pod: Stored<Pod>): void {
    const { uid, name, namespace, deletionTimestamp } = pod.metadata;
    const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
    if (this.#busy.has(`${uid} ${deletionTimestamp}`)) return;
    if (deletionTimestamp !== undefined) {
      const body = { gracePeriodSeconds: 0, preconditions: { uid } };
      this.#once(`${uid} ${deletionTimestamp}`, () => this.#insist("DELETE", path, body));
      this.#pods.delete(uid);
    } else if (pod.status?.phase === "Pending" && !this.#pods.has(uid)) {
      this.#pods.add(uid);
      this.#once(`${uid} ${deletionTimestamp}`, () =>
        this.#insist("PATCH", `${path}/status`, { metadata: { uid }, status: this.#running() }),
      );
    }
  }

  #once(key: string, work: () => Promise<void>): void {
    this.#busy.add(key);
    void work().then(() => this.#busy.delete(key));
  }

  #running() {
    const time = timeText();
    const at = this.#address++;
    const podIP = `10.99.${(at >> 8) & 255}.${at & 255}`;
    const types = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"];
    return {
      phase: "Running",
      hostIP: "127.0.0.1",
      podIP,
      podIPs: [{ ip: podIP }],
      startTime: time,
      conditions: types.map((type) => ({ type, status: "True", lastTransitionTime: time })),
      containerStatuses: [
        {
          name: "main",
          image: "hollow:1",
          imageID: "hollow",
          ready: true,
          started: true,
          restartCount: 0,
          containerID: "containerd://hollow",
          state: { running: { startedAt: time } },
        },
      ],
    };
  }
}
