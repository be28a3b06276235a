/** Which part of the map is visible. Positions are in cells: 0 is the outer edge of the first row or column. */

/** The least number of rows or columns that zooming in leaves visible. */
const MIN_CELLS = 4;

export interface VisibleCells {
  x0: number;
  x1: number;
  y0: number;
  y1: number;
}

/** The interval that starts at `from` and is `span` long, moved and cut to lie inside [0, count]. */
function within(from: number, span: number, count: number): [number, number] {
  const kept = Math.min(count, Math.max(Math.min(MIN_CELLS, count), span));
  const start = Math.min(Math.max(0, from), count - kept);
  return [start, start + kept];
}

export class Viewport {
  #rows = 0;
  #columns = 0;
  #visible: VisibleCells = { x0: 0, x1: 0, y0: 0, y1: 0 };

  get visible(): Readonly<VisibleCells> {
    return this.#visible;
  }

  /** Whether the whole map is visible. */
  get whole(): boolean {
    const { x0, x1, y0, y1 } = this.#visible;
    return x0 <= 0 && y0 <= 0 && x1 >= this.#columns && y1 >= this.#rows;
  }

  /** Set the number of rows and columns. A zoomed part of the map stays visible, as far as it still exists. */
  resize(rows: number, columns: number): void {
    if (rows === this.#rows && columns === this.#columns) return;
    const whole = this.whole;
    [this.#rows, this.#columns] = [rows, columns];
    if (whole) this.reset();
    else this.#set(this.#visible);
  }

  reset(): void {
    this.#visible = { x0: 0, x1: this.#columns, y0: 0, y1: this.#rows };
  }

  /** Show `factor` times as many cells; the point at the given shares of the width and height stays where it is. */
  zoom(factor: number, shareX: number, shareY: number): void {
    const { x0, x1, y0, y1 } = this.#visible;
    const [x, y] = [x0 + shareX * (x1 - x0), y0 + shareY * (y1 - y0)];
    const span = (from: number, to: number, count: number) =>
      Math.min(count, Math.max(Math.min(MIN_CELLS, count), (to - from) * factor));
    const [wide, tall] = [span(x0, x1, this.#columns), span(y0, y1, this.#rows)];
    const [left, top] = [x - shareX * wide, y - shareY * tall];
    this.#set({ x0: left, x1: left + wide, y0: top, y1: top + tall });
  }

  /** Move right and down by shares of the width and height of the visible part. */
  pan(shareX: number, shareY: number): void {
    const { x0, x1, y0, y1 } = this.#visible;
    const [x, y] = [shareX * (x1 - x0), shareY * (y1 - y0)];
    this.#set({ x0: x0 + x, x1: x1 + x, y0: y0 + y, y1: y1 + y });
  }

  /** Move as little as needed to make a cell visible. */
  reveal(row: number, column: number): void {
    const { x0, x1, y0, y1 } = this.#visible;
    const moved = (at: number, from: number, to: number) =>
      at < 0 ? 0 : Math.min(0, at - from) + Math.max(0, at + 1 - to);
    const [x, y] = [moved(column, x0, x1), moved(row, y0, y1)];
    if (x || y) this.#set({ x0: x0 + x, x1: x1 + x, y0: y0 + y, y1: y1 + y });
  }

  #set({ x0, x1, y0, y1 }: VisibleCells): void {
    [x0, x1] = within(x0, x1 - x0, this.#columns);
    [y0, y1] = within(y0, y1 - y0, this.#rows);
    this.#visible = { x0, x1, y0, y1 };
  }
}
