/** One view of the heatmap: it lays out the parts, hands them what is new, and passes on what people do. */

import { part } from "./dom";
import { Legend } from "./legend";
import { Models } from "./models";
import { colouring, stepsOf, type Colouring } from "./palette";
import { Panel } from "./panel";
import { Plot, type Place } from "./plot";
import { Progress } from "./progress";
import { Segments } from "./segments";
import type { Cells } from "./snapshot";
import type { Store } from "./store";
import { cellText, pairAt } from "./words";

const STEPS: Record<string, Place> = {
  ArrowUp: { row: -1, column: 0 },
  ArrowDown: { row: 1, column: 0 },
  ArrowLeft: { row: 0, column: -1 },
  ArrowRight: { row: 0, column: 1 },
};

export class HeatmapView {
  readonly element = part("div", "simwidget-heatmap");
  #store: Store;
  #title = part("div", "title");
  #scaleNote = part("span", "scale-note");
  #measures: Segments;
  #models: Models;
  #progress: Progress;
  #plot = new Plot();
  #panel: Panel;
  #legend: Legend;
  #readout = part("div", "readout");
  #notes = part("div", "notes");
  #hides = document.createElement("style");
  #leave = new AbortController();
  #due = 0;
  #steps: { values: Float32Array; key: string; steps: Int16Array } | undefined;

  constructor(store: Store) {
    this.#store = store;
    this.#measures = new Segments("Measure", (name) => store.set("measure", name));
    this.#models = new Models((view) => store.set("view", view));
    this.#progress = new Progress(store);
    this.#panel = new Panel(store);
    this.#legend = new Legend(
      (scale) => store.set("scale", scale),
      () => store.get("scale"),
    );
    this.element.setAttribute("role", "group");
    this.#readout.setAttribute("aria-live", "polite");
    const box = part("div", "box");
    box.append(
      part("header", "", this.#title, this.#measures.element, this.#models.element),
      this.#progress.element,
      part("main", "", part("div", "map", this.#plot.canvas), this.#panel.element),
      part("footer", "", this.#legend.element, this.#readout),
      this.#notes,
    );
    this.element.append(box);
    this.#hideStill();
    this.#listen();
    // what is shown now, for scripts and tests
    Object.defineProperty(this.element, "cells", { get: () => store.cells() });
  }

  /** To be called once the element is in the page. */
  shown(): void {
    document.head.append(this.#hides);
    this.#draw();
  }

  close(): void {
    this.#leave.abort();
    cancelAnimationFrame(this.#due);
    this.#hides.remove();
    this.element.remove();
  }

  /** The still output below stands in for this view where there is none; where this view is, it is hidden. */
  #hideStill(): void {
    const still = `.simwidget-still-${CSS.escape(this.#store.get("run_id"))}`;
    this.#hides.textContent = `${still}, .jp-OutputArea-child:has(${still}) { display: none; }`;
  }

  #listen(): void {
    const { canvas } = this.#plot;
    const { signal } = this.#leave;
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    canvas.addEventListener("pointermove", (e) => this.#point(this.#plot.at(e.offsetX, e.offsetY)), { signal });
    canvas.addEventListener("pointerleave", () => this.#point(undefined), { signal });
    canvas.addEventListener("click", (e) => this.#hold(this.#plot.at(e.offsetX, e.offsetY)), { signal });
    canvas.addEventListener("keydown", (event) => this.#press(event), { signal });
    const leave = this.#store.subscribe(() => this.#schedule());
    const sizes = new ResizeObserver(() => this.#schedule());
    sizes.observe(canvas);
    // JupyterLab takes cells that are scrolled away out of the page, and puts them back
    const seen = new IntersectionObserver(() => this.#schedule());
    seen.observe(this.element);
    const themes = matchMedia("(prefers-color-scheme: dark)");
    themes.addEventListener("change", () => this.#schedule(), { signal });
    const theme = new MutationObserver(() => this.#schedule());
    theme.observe(document.body, { attributeFilter: ["data-jp-theme-light", "class"] });
    signal.addEventListener("abort", () => {
      leave();
      for (const observer of [sizes, seen, theme]) observer.disconnect();
    });
  }

  #schedule(): void {
    if (this.#due) return;
    this.#due = requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#due = 0;
    if (this.#leave.signal.aborted || !this.element.isConnected || !this.element.clientWidth) return;
    const store = this.#store;
    const [axes, run, scale] = [store.get("axes"), store.get("run"), store.get("scale")];
    const [measure, view] = [store.get("measure"), store.get("view")];
    const names = axes.map(({ model }) => model);
    const { measures } = store.snapshot.meta;
    const about = store.snapshot.about(measure) ?? { name: measure, title: measure, kind: "similarity", reasons: {} };
    const cells = run.n_samples || store.cells()?.samples ? store.cells() : undefined;
    const colours = colouring(about, scale);
    const title = names.length > 3 ? `${names.length} models` : names.join(" × ");
    this.element.setAttribute("aria-label", `Similarity of the layers of ${title}`);
    this.#title.replaceChildren(title, " ", this.#scaleNote);
    this.#scaleNote.textContent = colours.note;
    this.#measures.show(
      measures.map(({ name, title: text }) => ({ key: name, text })),
      measure,
    );
    this.#models.show(names, view);
    this.#progress.show();
    this.#panel.show();
    const steps = this.#stepsOf(cells, colours, `${measure} ${JSON.stringify(scale)}`);
    this.#legend.show(cells, steps, colours, scale);
    const [x, y] = [axes[view[0]], axes[view[1]]];
    this.#plot.show({
      rows: x?.layers ?? [],
      columns: y?.layers ?? [],
      modelX: x?.model ?? "",
      modelY: y?.model ?? "",
      cells,
      steps,
      colours,
      held: store.get("selection"),
      waiting: cells ? "" : run.state === "ready" ? "not started" : "waiting for the loader",
    });
    const notes = run.notes.map((note) => `Note: ${note}`);
    if (notes.join("\n") !== [...this.#notes.children].map((one) => one.textContent).join("\n")) {
      this.#notes.replaceChildren(...notes.map((note) => part("p", "", note)));
    }
    this.#say(cells);
  }

  /** Kept while neither the values nor the scale change, so that pointing and resizing cost nothing. */
  #stepsOf(cells: Cells | undefined, colours: Colouring, key: string): Int16Array {
    if (!cells) return new Int16Array();
    if (this.#steps?.values !== cells.values || this.#steps.key !== key) {
      this.#steps = { values: cells.values, key, steps: stepsOf(cells.values, colours) };
    }
    return this.#steps.steps;
  }

  #point(place: Place | undefined): void {
    this.#plot.place = place;
    this.#say(this.#plot.cells);
  }

  #hold(place: Place | undefined): void {
    const shown = this.#plot.pair(place);
    if (shown) this.#store.set("selection", shown);
  }

  #press(event: KeyboardEvent): void {
    const step = STEPS[event.key];
    const { shape } = this.#plot;
    if (event.key === "Escape") {
      if (this.#plot.place) this.#point(undefined);
      else this.#store.set("selection", null);
    } else if (event.key === "Enter") this.#hold(this.#plot.place);
    else if (step !== undefined && shape[0] && shape[1]) {
      const from = this.#plot.place ?? { row: -Math.min(0, step.row), column: -Math.min(0, step.column) };
      const within = (value: number, count: number) => Math.min(count - 1, Math.max(0, value));
      const known = this.#plot.place !== undefined;
      this.#point({
        row: within(known ? from.row + step.row : 0, shape[0]),
        column: within(known ? from.column + step.column : 0, shape[1]),
      });
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Name the cell that is pointed at, in the readout and for screen readers. */
  #say(cells: Cells | undefined): void {
    const place = this.#plot.place;
    let text = "Point at a cell, or use the arrow keys; a click or Enter holds it";
    const what = cells ? `${cells.about.title} of ${cells.modelX} and ${cells.modelY}` : "Similarity, no numbers yet";
    if (cells && place && place.row < cells.rows.length && place.column < cells.columns.length) {
      const pair = pairAt(cells, place.row, place.column);
      const where = `${pair.model_x} › ${pair.layer_x}   ×   ${pair.model_y} › ${pair.layer_y}`;
      text = `${where}   ${cellText(cells, place.row, place.column)}`;
      this.#plot.canvas.setAttribute("aria-label", `${what}: ${text}`);
    } else this.#plot.canvas.setAttribute("aria-label", what);
    if (this.#readout.textContent !== text) this.#readout.textContent = text;
  }
}
