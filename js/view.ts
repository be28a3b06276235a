/** One view of the heatmap: title, switches, the map, the readout and the legend. */

import type { HeatmapState } from "./model";
import { gradient } from "./palette";
import { Plot, type Place } from "./plot";
import { Segments } from "./segments";
import { cellsOf } from "./snapshot";
import { cellText } from "./words";

const STEPS: Record<string, Place> = {
  ArrowUp: { row: -1, column: 0 },
  ArrowDown: { row: 1, column: 0 },
  ArrowLeft: { row: 0, column: -1 },
  ArrowRight: { row: 0, column: 1 },
};

export interface Choices {
  measure(name: string): void;
  view(view: [number, number]): void;
}

export class HeatmapView {
  readonly element = part("div", "simwidget-heatmap");
  #title = part("div", "title");
  #counts = part("div", "counts");
  #readout = part("div", "readout");
  #notes = part("div", "notes");
  #plot = new Plot();
  #measures: Segments;
  #views: Segments;
  #state: HeatmapState | undefined;

  constructor(choices: Choices, signal: AbortSignal) {
    this.#measures = new Segments("Measure", (name) => choices.measure(name));
    this.#views = new Segments("Models", (key) => choices.view(key.split(" ").map(Number) as [number, number]));
    const header = part("header");
    header.append(this.#title, this.#measures.element, this.#views.element, this.#counts);
    const footer = part("footer");
    footer.append(legend(), this.#readout);
    this.#readout.setAttribute("aria-live", "polite");
    this.element.append(header, this.#plot.canvas, footer, this.#notes);

    const { canvas } = this.#plot;
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    canvas.addEventListener("pointermove", (event) => this.#point(this.#plot.at(event.offsetX, event.offsetY)), {
      signal,
    });
    canvas.addEventListener("pointerleave", () => this.#point(undefined), { signal });
    canvas.addEventListener("keydown", (event) => this.#step(event), { signal });
    const sizes = new ResizeObserver(() => this.#plot.draw());
    sizes.observe(canvas);
    signal.addEventListener("abort", () => sizes.disconnect());
  }

  show(state: HeatmapState): void {
    this.#state = state;
    const { axes, snapshot_meta: meta, measure, view } = state;
    const names = axes.map((axis) => axis.model);
    this.#title.textContent = names.join(" × ");
    this.#counts.textContent = `${meta.n_samples.toLocaleString("en")} samples${meta.complete ? "" : ", partial"}`;
    this.#measures.show(
      meta.measures.map(({ name, title }) => ({ key: name, text: title })),
      measure,
    );
    const pairs = [...new Set(meta.blocks.map(({ x, y }) => `${x} ${y}`))];
    const label = (key: string) => {
      const [x, y] = key.split(" ").map(Number) as [number, number];
      return x === y ? `within ${names[x]}` : `${names[x]} × ${names[y]}`;
    };
    const crossFirst = pairs.sort((a, b) => Number(isWithin(a)) - Number(isWithin(b)));
    this.#views.show(
      crossFirst.map((key) => ({ key, text: label(key) })),
      view.join(" "),
    );
    this.#notes.replaceChildren(
      ...meta.notes.map((note) => {
        const line = part("p");
        line.textContent = `Note: ${note}`;
        return line;
      }),
    );
    this.#plot.cells = cellsOf(state.snapshot, meta, axes, measure, view);
    this.#say();
  }

  #point(place: Place | undefined): void {
    this.#plot.place = place;
    this.#say();
  }

  #step(event: KeyboardEvent): void {
    const step = STEPS[event.key];
    const cells = this.#plot.cells;
    if (step === undefined || cells === undefined) return;
    event.preventDefault();
    const from = this.#plot.place ?? { row: 0, column: 0 };
    const within = (value: number, count: number) => Math.min(count - 1, Math.max(0, value));
    this.#point({
      row: within(from.row + step.row, cells.rows.length),
      column: within(from.column + step.column, cells.columns.length),
    });
  }

  /** Name the cell that is pointed at, in the readout and for screen readers. */
  #say(): void {
    const [cells, place, state] = [this.#plot.cells, this.#plot.place, this.#state];
    const info = state?.snapshot_meta.measures.find(({ name }) => name === state.measure);
    let text = "Point at a cell, or use the arrow keys";
    if (cells && info && place) {
      const where = `${cells.modelX} › ${cells.rows[place.row]}   ×   ${cells.modelY} › ${cells.columns[place.column]}`;
      text = `${where}   ${cellText(cells, info, place.row, place.column)}`;
    }
    this.#readout.textContent = text;
    const what = cells && info ? `${info.title} of ${cells.modelX} and ${cells.modelY}` : "Similarity";
    this.#plot.canvas.setAttribute("aria-label", place ? `${what}: ${text}` : what);
  }
}

function isWithin(key: string): boolean {
  const [x, y] = key.split(" ");
  return x === y;
}

function part<K extends keyof HTMLElementTagNameMap>(tag: K, name = ""): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  element.className = name;
  return element;
}

function legend(): HTMLElement {
  const element = part("div", "legend");
  const [low, bar, high] = [part("span"), part("div", "bar"), part("span")];
  low.textContent = "0";
  high.textContent = "1";
  bar.style.background = gradient();
  element.append(low, bar, high);
  return element;
}
