/**
 * Custom objects in the version that is asked for, where a webhook turns one into another.
 * kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning
 */
import { decodeItem, encodeObject, peek, stampRevision, termsOf } from "#api/codec.ts";
import type { Core } from "#api/core.ts";
import { ApiError } from "#api/errors.ts";
import type { Convert, Resource } from "#api/registry.ts";
import { postReview } from "#api/reviewcall.ts";
import { messageOf } from "#base/errors.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import { pruneUnknown } from "#resources/shape.ts";
import type { CustomResourceDefinition } from "#resources/types.gen.ts";
import type { Item } from "#store/store.ts";

const SECONDS_MAX = 30;
const REVIEW_VERSIONS = ["v1", "v1beta1"];

interface Answer {
  response?: {
    uid?: string;
    convertedObjects?: ApiObject[];
    result?: { status?: string; message?: string };
  };
}

function convertedOf(text: string, uid: string, count: number): ApiObject[] {
  const { response } = JSON.parse(text) as Answer;
  if (response?.uid !== uid) throw new Error(`expected response.uid="${uid}"`);
  const { result, convertedObjects = [] } = response;
  if (result?.status !== "Success") throw new Error(result?.message || "no reason was given");
  if (convertedObjects.length !== count) {
    throw new Error(`expected ${count} converted objects, got ${convertedObjects.length}`);
  }
  return convertedObjects;
}

/** Only labels and annotations of the metadata are the webhook's to change. */
function checked(before: ApiObject, after: ApiObject, apiVersion: string): ApiObject {
  if (after.apiVersion !== apiVersion || after.kind !== before.kind) {
    throw new Error(`expected ${before.kind} of ${apiVersion}, got ${after.kind}`);
  }
  const { labels, annotations } = after.metadata ?? {};
  const { labels: _labels, annotations: _annotations, ...kept } = before.metadata ?? {};
  const metadata = { ...kept, ...(labels && { labels }), ...(annotations && { annotations }) };
  return { ...after, metadata: metadata as NonNullable<ApiObject["metadata"]> };
}

/** How a definition's objects are converted; undefined where only their apiVersion differs. */
export function converterOf(core: Core, { spec }: CustomResourceDefinition): Convert | undefined {
  const { strategy, webhook } = spec.conversion ?? {};
  if (strategy !== "Webhook" || webhook?.clientConfig === undefined) return undefined;
  const { clientConfig, conversionReviewVersions } = webhook;
  const version = conversionReviewVersions.find((each) => REVIEW_VERSIONS.includes(each));
  return async (objects, apiVersion) => {
    const uid = core.random.uuid();
    const review = {
      kind: "ConversionReview",
      apiVersion: `apiextensions.k8s.io/${version ?? "v1"}`,
      request: { uid, desiredAPIVersion: apiVersion, objects },
    };
    try {
      const converted = await postReview(core, clientConfig, SECONDS_MAX, review, (text) =>
        convertedOf(text, uid, objects.length),
      );
      return objects.map((before, index) => checked(before, converted[index] ?? {}, apiVersion));
    } catch (error) {
      const { kind } = spec.names;
      const about = `${objects[0]?.apiVersion}, Kind=${kind}`;
      const why = `conversion webhook for ${about} failed: ${messageOf(error)}`;
      throw new ApiError(500, "InternalError", why);
    }
  };
}

/** What was converted once serves all who ask for the same version of the same item. */
const views = new WeakMap<Item, WeakMap<Resource, Item>>();

function remember(resource: Resource, item: Item, view: Item): void {
  const known = views.get(item) ?? new WeakMap<Resource, Item>();
  known.set(resource, view);
  views.set(item, known);
}

const viewOf = (resource: Resource, item: Item): Item | undefined => views.get(item)?.get(resource);

/** One object in another version; it belongs to the caller. */
export async function objectIn(resource: Resource, object: ApiObject): Promise<ApiObject> {
  const { convert, apiVersion } = resource;
  if (convert === undefined || object.apiVersion === apiVersion) return object;
  const [converted = object] = await convert([object], apiVersion);
  pruneUnknown(converted, resource.schema);
  return converted;
}

/**
 * Items with the text of the version that is asked for; with `terms`, its terms too, which the
 * store may know only of another version. @throws ApiError 500.
 */
export async function itemsIn(
  resource: Resource,
  items: readonly Item[],
  terms = false,
): Promise<readonly Item[]> {
  const { convert, apiVersion, kind } = resource;
  if (convert === undefined) {
    if (!terms) return items;
    return items.map((item) => ({ ...item, terms: termsOf(kind, peek(item)) }));
  }
  const fresh = items.filter((item) => viewOf(resource, item) === undefined);
  const objects = fresh.map((item) => decodeItem(item));
  const foreign = objects.filter((object) => object.apiVersion !== apiVersion);
  const converted = foreign.length > 0 ? await convert(foreign, apiVersion) : [];
  const byOld = new Map(foreign.map((object, index) => [object, converted[index] as Stored]));
  fresh.forEach((item, index) => {
    const object = objects[index];
    if (object === undefined) return;
    const next = byOld.get(object) ?? object;
    if (next !== object) pruneUnknown(next, resource.schema);
    const value = next === object ? item.value : stampRevision(encodeObject(next), item.revision);
    remember(resource, item, { ...item, value, terms: termsOf(kind, next) });
  });
  return items.map((item) => viewOf(resource, item) ?? item);
}

/** At once where nothing is to be converted. */
export function itemIn(resource: Resource, item: Item): Item | Promise<Item> {
  if (resource.convert === undefined) return item;
  return itemsIn(resource, [item]).then(([view = item]) => view);
}
