import { expect, test } from "bun:test";
import { createAuthenticator } from "#api/auth/authenticate.ts";

test("a user of many requests is one object, so that others can remember by it", async () => {
  const shown = { name: "ann", groups: ["makers"] };
  const { authenticate } = createAuthenticator({
    ...{ fixed: new Map(), sources: [], audiences: ["api"] },
    vouches: async () => true,
  });
  const request = new Request("http://api/");
  const [one, two] = [
    await authenticate(request, { certificateUser: shown }),
    await authenticate(request, { certificateUser: shown }),
  ];
  expect(one).toEqual({ name: "ann", groups: ["makers", "system:authenticated"] });
  expect(two).toBe(one);
});
