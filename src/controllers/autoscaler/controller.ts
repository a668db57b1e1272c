import { messageOf } from "#base/errors.ts";
import type { Caches } from "#client/cache.types.ts";
import type { Client } from "#client/client.ts";
import type { Controller } from "#client/controller.ts";
import { pathOf } from "#client/http.ts";
import { Histories } from "#controllers/autoscaler/histories.ts";
import { readMetrics } from "#controllers/autoscaler/metrics.ts";
import { failed, plan, type State } from "#controllers/autoscaler/plan.ts";
import { propose } from "#controllers/autoscaler/propose.ts";
import { contentKinds } from "#controllers/common/content.ts";
import type { Kind } from "#resources/kind.ts";
import { horizontalPodAutoscalers } from "#resources/kinds/horizontalpodautoscaler.ts";
import { pods } from "#resources/kinds/pod.ts";
import { keyOf, type Stored } from "#resources/meta.ts";
import { parseLabelSelector } from "#resources/selector.ts";
import type { AutoscalingV2HorizontalPodAutoscaler, Pod, Scale } from "#resources/types.gen.ts";

interface Reading extends State {
  now: number;
  podsOf(selector: string): ReadonlyArray<Stored<Pod>>;
  kindOf(kind: string, apiVersion: string | undefined): Kind | undefined;
}

type Autoscaler = Stored<AutoscalingV2HorizontalPodAutoscaler>;

function kindFinder(caches: Caches) {
  const all = contentKinds(caches);
  return (kind: string, apiVersion = "v1"): Kind | undefined => {
    const slash = apiVersion.indexOf("/");
    const group = slash < 0 ? "" : apiVersion.slice(0, slash);
    return all.find((one) => one.kind === kind && one.group === group);
  };
}

async function scaleOf(client: Client, hpa: Autoscaler, state: Reading) {
  const { kind: kindName = "", name = "", apiVersion } = hpa.spec?.scaleTargetRef ?? {};
  const kind = state.kindOf(kindName, apiVersion);
  if (kind === undefined) {
    return { error: `no matches for kind "${kindName}" in version "${apiVersion}"` };
  }
  try {
    const path = pathOf(kind, { namespace: hpa.metadata.namespace, name }, "scale");
    const scale = (await client.read(path)) as Scale;
    return { kind, name, replicas: scale.spec?.replicas ?? 0, scale };
  } catch (error) {
    return { error: messageOf(error) };
  }
}

async function measure(state: Reading, client: Client, histories: Histories): Promise<Reading> {
  const { hpa, now } = state;
  const target = await scaleOf(client, hpa, state);
  if ("error" in target) return { ...state, target };
  const selector = target.scale.status?.selector ?? "";
  const key = keyOf(hpa);
  const inRange =
    target.replicas >= (hpa.spec?.minReplicas ?? 1) &&
    target.replicas <= (hpa.spec?.maxReplicas ?? 1);
  if (!inRange) {
    return { ...state, target, history: histories.seen(key, hpa, target.replicas, now) };
  }
  const { namespace = "" } = hpa.metadata;
  const specs = hpa.spec?.metrics ?? [];
  const options = { client, namespace, selector, kindOf: state.kindOf };
  const proposal = propose({
    hpa,
    pods: state.podsOf(selector),
    current: target.replicas,
    statusReplicas: target.scale.status?.replicas ?? 0,
    readings: await readMetrics(options, specs),
    now,
  });
  const history = histories.seen(key, hpa, target.replicas, now, proposal.replicas);
  return { ...state, target, proposal, history };
}

const specText = (object: Stored | undefined): string =>
  JSON.stringify((object as Autoscaler | undefined)?.spec);

export function autoscalerController(): Controller<Reading> {
  const histories = new Histories();
  return {
    name: "horizontal-pod-autoscaler",
    kind: horizontalPodAutoscalers,
    // Its own statuses must not wake it: it looks by the clock.
    changed: ({ before, after }) => specText(before) !== specText(after),
    triggers: [],
    read(key, { caches, now }) {
      const hpa = caches.of(horizontalPodAutoscalers).get(key);
      if (hpa === undefined) {
        histories.forget(key);
        return undefined;
      }
      const { namespace } = hpa.metadata;
      const podCache = caches.of(pods);
      return {
        hpa,
        target: { error: "not asked" },
        proposal: undefined,
        history: { recommendations: [], changes: [] },
        now,
        kindOf: kindFinder(caches),
        podsOf(selector) {
          const matches = parseLabelSelector(selector);
          return podCache.list(namespace).filter((pod) => matches(pod.metadata.labels ?? {}));
        },
      };
    },
    confirm: (state, client) => measure(state, client, histories),
    plan,
    failed,
  };
}
