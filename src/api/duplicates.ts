/** Fields that a JSON text sets twice, which `JSON.parse` swallows; for fieldValidation. */

interface Frame {
  /** Names seen in this object; absent for an array. */
  readonly names?: Set<string>;
  readonly path: string;
  index: number;
  field: string;
}

const pathInto = (frame: Frame | undefined): string => {
  if (frame === undefined) return "";
  if (frame.names === undefined) return `${frame.path}[${frame.index}]`;
  return frame.path === "" ? frame.field : `${frame.path}.${frame.field}`;
};

/** End of the string that starts at `at`: the index after its closing quote. */
function stringEnd(text: string, at: number): number {
  let end = at + 1;
  while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
  return end + 1;
}

/** Paths as `metadata.labels.app`, in the order found, each once. The text must be valid JSON. */
export function findDuplicateFields(text: string): string[] {
  const found = new Set<string>();
  const stack: Frame[] = [];
  let expectName = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    const top = stack.at(-1);
    if (char === "{" || char === "[") {
      const frame: Frame = { path: pathInto(top), index: 0, field: "" };
      stack.push(char === "{" ? { ...frame, names: new Set() } : frame);
      expectName = char === "{";
    } else if (char === "}" || char === "]") {
      stack.pop();
      expectName = false;
    } else if (char === "," && top !== undefined) {
      top.index += 1;
      expectName = top.names !== undefined;
    } else if (char === '"') {
      const end = stringEnd(text, at);
      if (expectName && top?.names !== undefined) {
        top.field = JSON.parse(text.slice(at, end)) as string;
        if (top.names.has(top.field)) found.add(pathInto(top));
        top.names.add(top.field);
        expectName = false;
      }
      at = end - 1;
    }
  }
  return [...found];
}
