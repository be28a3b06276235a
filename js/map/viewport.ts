/** Which part of the map is seen. Positions are in cells: 0 is the outer edge of the first row or column. */

/** At most so few cells fill the map. */
const MIN_CELLS = 4;

export interface VisibleCells {
  x0: number;
  x1: number;
  y0: number;
  y1: number;
}

/** The part of [0, count] that starts at `from` and is `span` long, moved and cut so that it lies inside. */
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

  /** Whether everything is seen. */
  get whole(): boolean {
    const { x0, x1, y0, y1 } = this.#visible;
    return x0 <= 0 && y0 <= 0 && x1 >= this.#columns && y1 >= this.#rows;
  }

  /** The map has another size: all of it is seen, or the same part as far as it is still there. */
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

  /** See `factor` times as much, while the point at the given shares of the width and height stays. */
  zoom(factor: number, shareX: number, shareY: number): void {
    const { x0, x1, y0, y1 } = this.#visible;
    const [x, y] = [x0 + shareX * (x1 - x0), y0 + shareY * (y1 - y0)];
    const span = (from: number, to: number, count: number) =>
      Math.min(count, Math.max(Math.min(MIN_CELLS, count), (to - from) * factor));
    const [wide, tall] = [span(x0, x1, this.#columns), span(y0, y1, this.#rows)];
    const [left, top] = [x - shareX * wide, y - shareY * tall];
    this.#set({ x0: left, x1: left + wide, y0: top, y1: top + tall });
  }

  /** Move by shares of what is seen. */
  pan(shareX: number, shareY: number): void {
    const { x0, x1, y0, y1 } = this.#visible;
    const [x, y] = [shareX * (x1 - x0), shareY * (y1 - y0)];
    this.#set({ x0: x0 + x, x1: x1 + x, y0: y0 + y, y1: y1 + y });
  }

  /** Move as little as needed to see a cell. */
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
