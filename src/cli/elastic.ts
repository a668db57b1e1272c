/** Elastic tab stops, as Go's tabwriter has them and kubectl's descriptions are laid out with. */

export interface ElasticOptions {
  widthMin?: number;
  padding?: number;
}

/**
 * Cells are ended by tabs. Neighbouring lines with a cell in the same column share its width; what
 * follows a line's last tab is in no column.
 */
export function elastic(text: string, { widthMin = 0, padding = 2 }: ElasticOptions = {}): string {
  const lines = text.split("\n").map((line) => line.split("\t"));
  const count = Math.max(0, ...lines.map((cells) => cells.length - 1));
  const out = lines.map((cells) => [...cells]);
  for (let column = 0; column < count; column++) {
    for (let from = 0; from < lines.length; ) {
      let to = from;
      let width = widthMin;
      for (; to < lines.length; to++) {
        const cells = lines[to] ?? [];
        if (column >= cells.length - 1) break;
        width = Math.max(width, [...(cells[column] ?? "")].length + padding);
      }
      for (let at = from; at < to; at++) {
        const cell = lines[at]?.[column] ?? "";
        const row = out[at];
        if (row !== undefined) row[column] = cell + " ".repeat(width - [...cell].length);
      }
      from = Math.max(to, from + 1);
    }
  }
  return out.map((cells) => cells.join("")).join("\n");
}
