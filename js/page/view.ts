/** One view of the heatmap: it lays out the parts, hands them what is new, and passes on what people do. */

import { Panel } from "../inspector/panel";
import { HINT, mapText, cellText } from "../map/cell_text";
import { Folding } from "../map/folding";
import type { Place } from "../map/layout";
import { Legend } from "../map/legend";
import { colouringOf, stepsOf, type ColourSource, type Colouring } from "../map/palette";
import { Plot } from "../map/plot";
import { PointerAndKeyboard } from "../map/pointer_keyboard";
import { ReaderGrid } from "../map/reader";
import type { Handle } from "../map/scene";
import { blockAt, positionOf, type Side } from "../map/side";
import { html } from "../parts/dom";
import { Menu } from "../parts/menu";
import { Segments } from "../parts/segments";
import type { MeasureInfo } from "../state/model";
import { equalPairs } from "../state/pairs";
import { pinOrUnpin } from "../state/pinned";
import type { Store } from "../state/store";
import { notesOf } from "../state/words";
import { Exports } from "./exports";
import { ModelPicker } from "./models";
import { Progress } from "./progress";
import { Tools } from "./tools";

export class HeatmapView {
  readonly element = html("div", "simwidget-heatmap");
  #store: Store;
  #closing = new AbortController();
  #title = html("div", "title");
  #scaleNote = html("span", "scale-note");
  #measures: Segments;
  #shows: Segments;
  #models: ModelPicker;
  #progress: Progress;
  #tools: Tools;
  #plot = new Plot();
  #reader = new ReaderGrid(this.#plot);
  #panel: Panel;
  #legend: Legend;
  #readout = html("div", "readout");
  #notes = html("div", "notes");
  #hideStyle = document.createElement("style");
  #folding: Folding;
  #exports: Exports;
  #pendingFrame = 0;
  #visible = true;
  #steps: { shown: Float32Array; key: string; steps: Int16Array; colours: Colouring } | undefined;

  constructor(store: Store) {
    this.#store = store;
    const { signal } = this.#closing;
    this.#measures = new Segments("Measure", (name) => store.set("measure", name));
    this.#shows = new Segments("Colours show", (what) => store.set("shows", what as "values" | "errors"));
    this.#models = new ModelPicker((view) => store.set("view", view));
    this.#progress = new Progress(store);
    this.#panel = new Panel(store);
    this.#tools = new Tools({
      find: (name) => this.#find(name),
      open: (depth) => this.#folding.openTo(depth),
      changed: () => this.#schedule(),
    });
    this.#folding = new Folding(store, this.#tools.settings);
    this.#exports = new Exports(store, this.#plot);
    this.#legend = new Legend({
      scale: () => store.get("scale"),
      choose: (scale) => store.set("scale", scale),
      threshold: (value) => store.set("threshold", value),
    });
    const note = () => this.#scaleNote.textContent;
    const menu = new Menu(this.#exports.offered, (key) => void this.#exports.make(key, note()), signal);
    this.element.setAttribute("role", "group");
    // JupyterLab's own shortcuts are for its cells, not for what is inside of them
    this.element.dataset.lmSuppressShortcuts = "true";
    const box = html("div", "box");
    box.append(
      html("header", "", this.#title, this.#measures.element, this.#shows.element, this.#models.element, menu.element),
      this.#progress.element,
      html("main", "", html("div", "map", this.#tools.element, this.#plot.element), this.#panel.element),
      html("footer", "", this.#legend.element, this.#readout),
      this.#notes,
    );
    this.element.append(box);
    this.#hideStillOutput();
    this.#listen();
    // what is shown now, for scripts and tests
    Object.defineProperties(this.element, {
      cells: { get: () => store.cells() },
      rows: { get: () => namesOf(this.#plot.scene?.x) },
      columns: { get: () => namesOf(this.#plot.scene?.y) },
      detail: { get: () => store.detail(store.get("selection")) },
    });
  }

  /** To be called once the element is in the page. */
  attached(): void {
    document.head.append(this.#hideStyle);
    this.#draw();
  }

  close(): void {
    this.#closing.abort();
    cancelAnimationFrame(this.#pendingFrame);
    this.#panel.close();
    this.#hideStyle.remove();
    this.element.remove();
  }

  /** The still output below stands in for this view where there is none; where this view is, it is hidden. */
  #hideStillOutput(): void {
    const still = `.simwidget-still-${CSS.escape(this.#store.get("run_id"))}`;
    this.#hideStyle.textContent = `${still}, .jp-OutputArea-child:has(${still}) { display: none; }`;
  }

  #listen(): void {
    const { signal } = this.#closing;
    const actions = {
      redraw: () => this.#schedule(),
      choose: (place: Place) => this.#holdOrPin(place),
      toggle: (handle: Handle) => this.#folding.toggle(handle),
      handleOf: (place: Place) => this.#handleOf(place),
      release: () => this.#store.set("selection", null),
    };
    new PointerAndKeyboard(this.#plot, actions, signal);
    const leave = this.#store.subscribe(() => this.#schedule());
    const sizes = new ResizeObserver(() => this.#schedule());
    sizes.observe(this.#plot.element);
    // JupyterLab takes cells that are scrolled away out of the page, and puts them back
    const seen = new IntersectionObserver((all) => {
      this.#visible = all.at(-1)?.isIntersecting ?? true;
      this.#schedule();
    });
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
    if (this.#pendingFrame || !this.#visible) return;
    this.#pendingFrame = requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#pendingFrame = 0;
    if (this.#closing.signal.aborted || !this.element.isConnected || !this.element.clientWidth) return;
    const store = this.#store;
    const [axes, run, scale] = [store.get("axes"), store.get("run"), store.get("scale")];
    const [measure, view, shows] = [store.get("measure"), store.get("view"), store.get("shows")];
    const names = axes.map(({ model }) => model);
    const { measures } = store.snapshot.meta;
    const about: MeasureInfo = store.snapshot.about(measure) ?? {
      name: measure,
      title: measure,
      kind: "similarity",
      reasons: {},
    };
    const [x, y] = this.#folding.sides;
    const known = run.n_samples || store.cells()?.samples ? store.cells() : undefined;
    // after the first batch the axes are in execution order: numbers in the order before that wait for their frame
    const cells = known && equalLists(known.rows, x.layers) && equalLists(known.columns, y.layers) ? known : undefined;
    const threshold = store.get("threshold");
    const coloured: ColourSource = shows === "errors" ? { ...about, name: `${measure} ±`, threshold } : about;
    const title = names.length > 3 ? `${names.length} models` : names.join(" × ");
    this.element.setAttribute("aria-label", `Similarity of the layers of ${title}`);
    this.#measures.show(
      measures.map(({ name, title: text }) => ({ key: name, text })),
      measure,
    );
    this.#shows.show(
      [
        { key: "values", text: "value", hint: "Colours show the values" },
        { key: "errors", text: "± error", hint: "Colours show the standard errors" },
      ],
      shows,
    );
    this.#models.show(names, view);
    this.#progress.show();
    const shown = shows === "errors" ? cells?.stderr : cells?.values;
    const { steps, colours } = this.#coloursOf(shown, coloured, scale);
    const note = [shows === "errors" ? "colours are standard errors" : "", colours.note].filter(Boolean).join(", ");
    if (this.#title.firstChild?.textContent !== title) this.#title.replaceChildren(title, " ", this.#scaleNote);
    this.#title.title = title;
    this.#scaleNote.textContent = note;
    this.#legend.show(shown, steps, colours, coloured, scale);
    this.#legend.threshold = threshold;
    this.#tools.show([x.layers, y.layers], Math.max(x.tree.depth, y.tree.depth), about.kind !== "difference");
    const { filter, bestMatch: best } = this.#tools.settings;
    const empty = filter && (!x.entries.length || !y.entries.length) ? `no layer is like “${filter}”` : "";
    this.#plot.show({
      x,
      y,
      cells,
      shown: shown ?? new Float32Array(),
      steps,
      colours,
      held: store.get("selection"),
      pinned: store.get("pinned"),
      threshold: shows === "values" ? threshold : undefined,
      best: best && about.kind !== "difference",
      waiting: empty || (cells ? "" : run.state === "ready" ? "not started" : "waiting for the loader"),
    });
    this.#panel.show();
    const notes = notesOf(run).map((one) => `Note: ${one}`);
    if (notes.join("\n") !== [...this.#notes.children].map((one) => one.textContent).join("\n")) {
      this.#notes.replaceChildren(...notes.map((one) => html("p", "", one)));
    }
    this.#describePointed();
  }

  /** Kept while neither the numbers nor the scale change, so that pointing and resizing cost nothing. */
  #coloursOf(shown: Float32Array | undefined, coloured: ColourSource, scale: Parameters<typeof colouringOf>[1]) {
    const numbers = shown ?? NONE;
    const key = JSON.stringify([coloured.name, coloured.kind, coloured.threshold, scale]);
    if (this.#steps?.shown !== numbers || this.#steps.key !== key) {
      const colours = this.#steps?.key === key ? this.#steps.colours : colouringOf(coloured, scale);
      this.#steps = { shown: numbers, key, colours, steps: stepsOf(numbers, colours) };
    }
    return this.#steps;
  }

  // --- what people do ------------------------------------------------------------------------------------------------

  /** Hold the pair of a cell; the same one again is pinned, or let go of. */
  #holdOrPin(place: Place): void {
    const pair = this.#plot.pairAt(place);
    if (!pair) return;
    const held = this.#store.get("selection");
    if (!held || !equalPairs(held, pair)) this.#store.set("selection", pair);
    else if (this.#plot.focused) pinOrUnpin(this.#store, pair);
  }

  #handleOf({ row, column }: Place): Handle | undefined {
    const scene = this.#plot.scene;
    if (!scene) return undefined;
    const [side, one, position] = row < 0 ? (["y", scene.y, column] as const) : (["x", scene.x, row] as const);
    const block = blockAt(one, position);
    return block && { side, path: block.path };
  }

  /** Open the blocks around a layer, on both sides where both have it, and point at it. */
  #find(name: string): boolean {
    const has = this.#folding.openFor(name);
    if (!has.some(Boolean)) return false;
    this.#draw(); // the map must know the opened rows before one of them is pointed at
    const plot = this.#plot;
    const at = (side: Side, here: boolean, otherwise = 0) => (here ? positionOf(side, name) : Math.max(0, otherwise));
    const [x, y] = this.#folding.sides;
    const place = { row: at(x, has[0], plot.pointed?.row), column: at(y, has[1], plot.pointed?.column) };
    plot.element.focus({ preventScroll: true });
    plot.pointed = place;
    plot.focused = true;
    plot.viewport.reveal(place.row, place.column);
    this.#schedule();
    return true;
  }

  /** Name what is pointed at, in two lines and for screen readers. */
  #describePointed(): void {
    const plot = this.#plot;
    const scene = plot.scene!;
    const place = plot.pointed;
    const pair = plot.pairAt(place);
    const said = place && cellText(scene, place, pair, this.#store.get("axes"));
    const lines = said?.lines ?? HINT;
    if (lines.join("") !== this.#readout.textContent) {
      this.#readout.replaceChildren(...lines.map((text) => html("span", "", text)));
      this.#readout.title = said ? lines.join("\n") : "";
    }
    const held = this.#store.get("selection");
    const map = mapText(scene);
    this.#reader.describe(map, {
      text: said?.name ?? map,
      expanded: said?.expanded,
      selected: held !== null && pair !== undefined && equalPairs(held, pair),
    });
  }
}

const NONE = new Float32Array();

function equalLists(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((name, i) => name === b[i]));
}

function namesOf(side: Side | undefined): string[] {
  return side ? side.entries.map(({ index }) => side.layers[index] ?? "") : [];
}
