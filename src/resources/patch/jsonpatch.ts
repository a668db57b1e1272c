/**
 * JSON patch, RFC 6902, with the habits of the library that Kubernetes uses (evanphx/json-patch
 * v4): negative indices count from the end, `replace` of an absent member adds it, a test of an
 * absent member against null holds. Its messages too, since clients show them.
 */
import { limits } from "#base/limits.ts";
import {
  deepCopy,
  deepEqual,
  isDeeper,
  isObject,
  type JsonObject,
  member,
  PatchError,
  setMember,
  shallow,
} from "#resources/patch/values.ts";
import type { Json } from "#resources/types.gen.ts";

const MISSING = "missing value";
const unprocessable = (message: string): PatchError => new PatchError(422, message);

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly from: string | undefined;
  readonly value: Json;
}

function operationsOf(ops: Json): Operation[] {
  if (!Array.isArray(ops)) throw new PatchError(400, "error decoding patch: it is no list");
  if (ops.length > limits.jsonPatchOperationsMax) {
    const max = limits.jsonPatchOperationsMax;
    const text = `The allowed maximum operations in a JSON patch is ${max}, got ${ops.length}`;
    throw new PatchError(413, text);
  }
  return ops.map((entry, index) => {
    const fields = isObject(entry) ? entry : {};
    const { op, path, from, value } = fields;
    if (typeof op !== "string")
      throw new PatchError(400, `error decoding patch: no op in [${index}]`);
    if (typeof path !== "string") {
      throw unprocessable(`${op} operation failed to decode path: ${MISSING}`);
    }
    if ((op === "move" || op === "copy") && typeof from !== "string") {
      throw unprocessable(`${op} operation failed to decode from: ${MISSING}`);
    }
    return { op, path, from: typeof from === "string" ? from : undefined, value: value ?? null };
  });
}

const decode = (token: string): string => token.replaceAll("~1", "/").replaceAll("~0", "~");

type Container = JsonObject | Json[];
const isContainer = (value: Json | undefined): value is Container =>
  typeof value === "object" && value !== null;

/** The index that a token names in a list of this length; throws where it is none. */
function indexOf(token: string, length: number): number {
  if (!/^[+-]?\d+$/.test(token)) {
    throw unprocessable(`strconv.Atoi: parsing ${JSON.stringify(token)}: invalid syntax`);
  }
  const index = Number(token);
  if (index >= length || index < -length) {
    throw unprocessable(`Unable to access invalid index: ${index}: invalid index referenced`);
  }
  return index < 0 ? index + length : index;
}

/** Checked after each operation, because copies can nest values in one another. */
function checkDepth(value: Json): void {
  if (isDeeper(value, limits.objectDepthMax)) throw unprocessable("exceeded max depth");
}

/** The document under way. Containers are copied the first time that they change. */
class Draft {
  root: Json;
  readonly #own = new WeakSet<object>();
  #copiedBytes = 0;

  constructor(root: Json) {
    this.root = root;
  }

  /** The container of the last token of the path, safe to change; undefined where there is none. */
  find(path: string): { container: Container; key: string } | undefined {
    const tokens = path.split("/");
    if (tokens.length < 2) return undefined;
    const key = decode(tokens.pop() ?? "");
    this.root = this.#mine(this.root);
    let at = this.root;
    for (const token of tokens.slice(1)) {
      const next = isContainer(at) ? this.#step(at, decode(token)) : undefined;
      if (next === undefined) return undefined;
      at = next;
    }
    return isContainer(at) ? { container: at, key } : undefined;
  }

  #step(at: Container, token: string): Json | undefined {
    if (!Array.isArray(at)) {
      const child = member(at, token);
      if (!isContainer(child)) return undefined;
      const mine = this.#mine(child);
      setMember(at, token, mine);
      return mine;
    }
    const index = /^[+-]?\d+$/.test(token) ? Number(token) : Number.NaN;
    const place = index < 0 ? index + at.length : index;
    const child = at[place];
    if (!isContainer(child)) return undefined;
    const mine = this.#mine(child);
    at[place] = mine;
    return mine;
  }

  #mine(value: Json): Json {
    if (!isContainer(value) || this.#own.has(value)) return value;
    const copy = Array.isArray(value) ? [...value] : shallow(value);
    this.#own.add(copy);
    return copy;
  }

  /** A copy that shares nothing; many copies of copies would grow without end. */
  copyOf(value: Json): Json {
    checkDepth(value);
    this.#copiedBytes += JSON.stringify(value).length;
    if (this.#copiedBytes > limits.requestBodyBytesMax) {
      const text = "Unable to complete the copy, the accumulated size increase of copy is";
      const max = limits.requestBodyBytesMax;
      throw unprocessable(`${text} ${this.#copiedBytes}, exceeding the limit ${max}`);
    }
    return deepCopy(value);
  }
}

function read(container: Container, key: string): Json | undefined {
  if (Array.isArray(container)) return container[indexOf(key, container.length)];
  return member(container, key);
}

function add(container: Container, key: string, value: Json): void {
  if (!Array.isArray(container)) setMember(container, key, value);
  else if (key === "-") container.push(value);
  else container.splice(indexOf(key, container.length + 1), 0, value);
}

function remove(container: Container, key: string): void {
  if (Array.isArray(container)) container.splice(indexOf(key, container.length), 1);
  else if (Object.hasOwn(container, key)) delete container[key];
  else throw unprocessable(`Unable to remove nonexistent key: ${key}: ${MISSING}`);
}

function found(draft: Draft, path: string, text: string): { container: Container; key: string } {
  const place = draft.find(path);
  if (place === undefined) throw unprocessable(`${text}: ${MISSING}`);
  return place;
}

/** Runs a step and puts where it was before what went wrong. */
function within<T>(where: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (error instanceof PatchError) throw new PatchError(error.code, `${where}: ${error.message}`);
    throw error;
  }
}

const OPERATIONS: Readonly<Record<string, (draft: Draft, operation: Operation) => void>> = {
  add(draft, { path, value }) {
    const text = `add operation does not apply: doc is missing path: "${path}"`;
    const { container, key } = found(draft, path, text);
    within(`error in add for path: '${path}'`, () => add(container, key, value));
  },
  remove(draft, { path }) {
    const text = `remove operation does not apply: doc is missing path: "${path}"`;
    const { container, key } = found(draft, path, text);
    within(`error in remove for path: '${path}'`, () => remove(container, key));
  },
  replace(draft, { path, value }) {
    if (path === "") {
      draft.root = value;
      return;
    }
    const text = `replace operation does not apply: doc is missing path: ${path}`;
    const { container, key } = found(draft, path, text);
    if (!Array.isArray(container)) setMember(container, key, value);
    else {
      if (!/^[+-]?\d+$/.test(key) || container.at(Number(key)) === undefined) {
        throw unprocessable(
          `replace operation does not apply: doc is missing key: ${path}: ${MISSING}`,
        );
      }
      container[indexOf(key, container.length)] = value;
    }
  },
  move(draft, { path, from = "" }) {
    const text = `move operation does not apply: doc is missing from path: ${from}`;
    const source = found(draft, from, text);
    const value = within(`error in move for path: '${source.key}'`, () => {
      const moved = read(source.container, source.key);
      remove(source.container, source.key);
      return moved ?? null;
    });
    const missing = `move operation does not apply: doc is missing destination path: ${path}`;
    const { container, key } = found(draft, path, missing);
    within(`error in move for path: '${path}'`, () => add(container, key, value));
  },
  copy(draft, { path, from = "" }) {
    const text = `copy operation does not apply: doc is missing from path: ${from}`;
    const source = found(draft, from, text);
    const value = within(`error in copy for from: '${from}'`, () =>
      read(source.container, source.key),
    );
    const missing = `copy operation does not apply: doc is missing destination path: ${path}`;
    const { container, key } = found(draft, path, missing);
    const copy = draft.copyOf(value ?? null);
    within("error while adding value during copy", () => add(container, key, copy));
  },
  test(draft, { path, value }) {
    let current: Json | undefined = draft.root;
    if (path !== "") {
      const text = `test operation does not apply: is missing path: ${path}`;
      const { container, key } = found(draft, path, text);
      current = within(`error in test for path: '${path}'`, () => read(container, key)) ?? null;
    }
    if (!deepEqual(current, value))
      throw unprocessable(`testing value ${path} failed: test failed`);
  },
};

/** Throws PatchError; never changes its arguments. */
export function applyJsonPatch(doc: Json, ops: Json): Json {
  const draft = new Draft(doc);
  for (const operation of operationsOf(ops)) {
    const run = Object.hasOwn(OPERATIONS, operation.op) ? OPERATIONS[operation.op] : undefined;
    if (run === undefined) throw unprocessable(`Unexpected kind: ${operation.op}`);
    run(draft, operation);
  }
  checkDepth(draft.root);
  return draft.root;
}
