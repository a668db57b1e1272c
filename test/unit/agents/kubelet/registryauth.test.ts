import { expect, test } from "bun:test";
import { registryAuth, repositoryOf } from "#agents/kubelet/registryauth.ts";

const secret = (auths: object): ReadonlyMap<string, Uint8Array> =>
  new Map([[".dockerconfigjson", Buffer.from(JSON.stringify({ auths }))]]);

const login = (user: string) => ({ auth: Buffer.from(`${user}:pw:x`).toString("base64") });

test.each([
  ["busybox", "docker.io", "library/busybox"],
  ["me/app:1", "docker.io", "me/app"],
  ["r.io:5000/a/b:1", "r.io:5000", "a/b"],
  ["localhost/a", "localhost", "a"],
  ["r.io/a@sha256:abc", "r.io", "a"],
])("%s is at %s, %s", (image, host, path) => {
  expect(repositoryOf(image)).toEqual({ host, path });
});

test("the entry of the registry is taken, its password may hold a colon", () => {
  const secrets = [secret({ "https://r.io/v2/": login("a"), "other.io": login("b") })];
  expect(registryAuth("r.io/x:1", secrets)).toEqual({ username: "a", password: "pw:x" });
  expect(registryAuth("none.io/x:1", secrets)).toBeUndefined();
});

test("the longest path and a pattern of hosts fit", () => {
  const secrets = [
    secret({ "r.io": login("all"), "r.io/team": login("team"), "*.x.io": login("x") }),
  ];
  expect(registryAuth("r.io/team/app", secrets)?.username).toBe("team");
  expect(registryAuth("r.io/teamwork/app", secrets)?.username).toBe("all");
  expect(registryAuth("eu.x.io/app", secrets)?.username).toBe("x");
  expect(registryAuth("a.eu.x.io/app", secrets)).toBeUndefined();
});

test("Docker Hub has many names; a broken secret is no secret", () => {
  const secrets = [
    new Map([[".dockerconfigjson", Buffer.from("{")]]),
    secret({ "https://index.docker.io/v1/": { username: "u", password: "p" } }),
  ];
  expect(registryAuth("busybox", secrets)).toEqual({ username: "u", password: "p" });
});
