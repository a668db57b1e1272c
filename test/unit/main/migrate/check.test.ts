import { expect, test } from "bun:test";
import { encodeObject, stampRevision } from "#api/codec.ts";
import { Checklist } from "../../../../src/main/migrate/check.ts";

function object(name: string, text = "x", revision = 5) {
  const words = { kind: "ConfigMap", apiVersion: "v1", data: { text } };
  const value = encodeObject({ ...words, metadata: { name, uid: name } });
  return {
    key: `core/configmaps/default/${name}`,
    revision,
    value: stampRevision(value, revision),
  };
}

const checklist = () => {
  const list = new Checklist();
  for (const name of ["a", "b"]) list.add(object(name));
  return list;
};

test("the same objects at other revisions are what was wanted", async () => {
  const list = checklist();
  await list.assertAll([object("b", "x", 77), object("a", "x", 0)]);
  expect(list.count).toBe(2);
});

test("what is missing, changed or too many is named", async () => {
  const a = object("a");
  for (const [arrived, words] of [
    [[a], "1 objects did not arrive, one is core/configmaps/default/b"],
    [[a, object("b", "y")], "default/b is not as it was"],
    [[a, object("b"), object("c")], "default/c is one too many"],
    [[a, object("b"), a], "default/a is one too many"],
  ] as const) {
    await expect(checklist().assertAll(arrived)).rejects.toThrow(words);
  }
});
