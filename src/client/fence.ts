/**
 * A client whose writes leave only while somebody may make them. A leader's process that stood
 * still wakes up in the middle of its work, before any timer tells it that its time is over.
 */
import { type Client, StatusError } from "#client/client.ts";

/** Reads go on. @throws StatusError 503 for a write that may not leave any more. */
export function fenced(client: Client, may: () => boolean): Client {
  const check = (): void => {
    if (!may()) throw new StatusError(503, "ServiceUnavailable", "not leading any more");
  };
  return {
    get: (kind, ref) => client.get(kind, ref),
    list: (kind, query) => client.list(kind, query),
    watch: (kind, query) => client.watch(kind, query),
    unchanged: (kind, query) => client.unchanged(kind, query),
    read: (path) => client.read(path),
    async create(kind, object, options) {
      check();
      return client.create(kind, object, options);
    },
    async update(kind, object, options) {
      check();
      return client.update(kind, object, options);
    },
    async patch(kind, ref, type, body, options) {
      check();
      return client.patch(kind, ref, type, body, options);
    },
    async delete(kind, ref, options) {
      check();
      return client.delete(kind, ref, options);
    },
    async deleteAll(kind, query, options) {
      check();
      return client.deleteAll(kind, query, options);
    },
    async post(kind, ref, subresource, body) {
      check();
      return client.post(kind, ref, subresource, body);
    },
    async fetch(request) {
      if (request.method !== "GET") check();
      return client.fetch(request);
    },
  };
}
