/**
 * Columns of text as kubectl lays them out: at least six wide, three spaces apart, the last one
 * ragged.
 */

const PADDING = 3;
const WIDTH_MIN = 6;

/** Widths grow over its life, so that rows of a watch stay below each other. */
export class Columns {
  #widths: number[] = [];

  /** Rows as lines, each with a line break. */
  lines(rows: ReadonlyArray<readonly string[]>): string {
    for (const row of rows) {
      for (const [at, cell] of row.slice(0, -1).entries()) {
        const width = Math.max(WIDTH_MIN, [...cell].length + PADDING);
        this.#widths[at] = Math.max(this.#widths[at] ?? 0, width);
      }
    }
    const padded = (row: readonly string[]): string[] =>
      row.map((cell, at) => {
        if (at === row.length - 1) return cell;
        return cell + " ".repeat(Math.max(0, (this.#widths[at] ?? 0) - [...cell].length));
      });
    return rows.map((row) => `${padded(row).join("")}\n`).join("");
  }
}

export const columns = (rows: ReadonlyArray<readonly string[]>): string =>
  new Columns().lines(rows);
