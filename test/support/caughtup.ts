/** Waits until caches over the played API show what it has. */
import type { Caches } from "#client/cache.types.ts";
import { apiVersionOf, type Kind } from "#resources/kind.ts";
import { type ApiObject, keyOf } from "#resources/meta.ts";
import type { FakeApi } from "#test/support/fakeapi.ts";
import { eventually } from "#test/support/instance.ts";

export async function caughtUp(api: FakeApi, caches: Caches, ...kinds: Kind[]): Promise<void> {
  for (const kind of kinds) {
    const cache = caches.of<ApiObject>(kind);
    await eventually(`the cache shows the ${kind.plural}`, 60_000, async () => {
      const all = [...api.objects.values()].filter(
        (one) => one.kind === kind.kind && one.apiVersion === apiVersionOf(kind),
      );
      const seen = all.every((one) => cache.seen(keyOf(one), one.metadata.resourceVersion));
      return seen && cache.list().length === all.length;
    });
  }
}
