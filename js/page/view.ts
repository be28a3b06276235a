/** One view of the heatmap in a page: it lays out the parts, passes new numbers to them, and handles their actions. */

import { Panel } from "../inspector/panel";
import { Folding } from "../map/folding";
import type { Place } from "../map/layout";
import { Legend } from "../map/legend";
import { rememberingColours } from "../map/palette";
import { Plot } from "../map/plot";
import { PointerAndKeyboard } from "../map/pointer_keyboard";
import { Readout } from "../map/readout";
import { colourNote, type Handle, type Scene, sceneOf } from "../map/scene";
import { positionOf, type Side } from "../map/side";
import { html } from "../parts/dom";
import { Menu } from "../parts/menu";
import { Segments } from "../parts/segments";
import type { MeasureInfo } from "../state/model";
import { equalPairs } from "../state/pairs";
import { pinOrUnpin } from "../state/pinned";
import type { Store } from "../state/store";
import { notesOf } from "../state/display_text";
import { Exports } from "./export_menu";
import { ModelPicker } from "./model_choice";
import { Progress } from "./run_controls";
import { Tools } from "./toolbar";

const SHOWS = [
  { key: "values", text: "value", hint: "Colours show the values" },
  { key: "errors", text: "± error", hint: "Colours show the standard errors" },
];

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
  #readout = new Readout(this.#plot);
  #panel: Panel;
  #legend: Legend;
  #notes = html("div", "notes");
  #hideStyle = document.createElement("style");
  #folding: Folding;
  #exports: Exports;
  #colour = rememberingColours();
  #pendingFrame = 0;
  #visible = true;

  constructor(store: Store) {
    this.#store = store;
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
    this.element.setAttribute("role", "group");
    // no JupyterLab shortcuts while the focus is in the view
    this.element.dataset.lmSuppressShortcuts = "true";
    this.element.append(this.#layOut());
    this.#hideStillOutput();
    this.#listen();
    // properties of the element that say what is shown, for scripts and tests
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

  #layOut(): HTMLElement {
    const note = () => this.#scaleNote.textContent;
    const make = (key: string) => void this.#exports.make(key, note());
    const menu = new Menu(this.#exports.offered, make, this.#closing.signal);
    const pickers = [this.#measures.element, this.#shows.element, this.#models.element];
    return html(
      "div",
      "box",
      html("header", "", this.#title, ...pickers, menu.element),
      this.#progress.element,
      html("main", "", html("div", "map", this.#tools.element, this.#plot.element), this.#panel.element),
      html("footer", "", this.#legend.element, this.#readout.element),
      this.#notes,
    );
  }

  /** Hide the still picture below this view, which is meant for notebooks that cannot show the live view. */
  #hideStillOutput(): void {
    const still = `.simwidget-still-${CSS.escape(this.#store.get("run_id"))}`;
    // the output with the picture itself, and none around it: a live view may be inside an output of an output
    const output = `.jp-OutputArea-child:has(> .jp-OutputArea-output > ${still})`;
    this.#hideStyle.textContent = `${still}, ${output} { display: none; }`;
  }

  #listen(): void {
    const { signal } = this.#closing;
    const actions = {
      redraw: () => this.#schedule(),
      choose: (place: Place) => this.#holdOrPin(place),
      toggle: (handle: Handle) => this.#folding.toggle(handle),
      release: () => this.#store.set("selection", null),
    };
    new PointerAndKeyboard(this.#plot, actions, signal);
    const unsubscribe = this.#store.subscribe(() => this.#schedule());
    const sizes = new ResizeObserver(() => this.#schedule());
    sizes.observe(this.#plot.element);
    // draw again when the view is visible again: JupyterLab removes cells that are scrolled away, and puts them back
    const visibility = new IntersectionObserver((all) => {
      this.#visible = all.at(-1)?.isIntersecting ?? true;
      this.#schedule();
    });
    visibility.observe(this.element);
    const themes = matchMedia("(prefers-color-scheme: dark)");
    themes.addEventListener("change", () => this.#schedule(), { signal });
    const theme = new MutationObserver(() => this.#schedule());
    theme.observe(document.body, { attributeFilter: ["data-jp-theme-light", "class"] });
    signal.addEventListener("abort", () => {
      unsubscribe();
      for (const observer of [sizes, visibility, theme]) observer.disconnect();
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
    const about = this.#about;
    const scene = this.#scene(about);
    this.#showHeader(scene);
    this.#progress.show();
    this.#legend.show(scene, store.get("scale"), store.get("threshold"));
    const { x, y } = scene;
    this.#tools.show([x.layers, y.layers], Math.max(x.tree.depth, y.tree.depth), about.kind !== "difference");
    this.#plot.show(scene);
    this.#panel.show();
    this.#showNotes();
    this.#readout.show(store.get("axes"));
  }

  /** The shown measure; before the first snapshot, a stand-in made from the measure's name. */
  get #about(): MeasureInfo {
    const measure = this.#store.get("measure");
    return this.#store.snapshot.about(measure) ?? { name: measure, title: measure, kind: "similarity", reasons: {} };
  }

  #scene(about: MeasureInfo): Scene {
    const store = this.#store;
    return sceneOf(
      {
        sides: this.#folding.sides,
        about,
        latest: store.cells(),
        run: store.get("run"),
        shows: store.get("shows"),
        scale: store.get("scale"),
        threshold: store.get("threshold"),
        held: store.get("selection"),
        pinned: store.get("pinned"),
        filter: this.#tools.settings.filter,
        bestMatch: this.#tools.settings.bestMatch,
      },
      this.#colour,
    );
  }

  #showHeader(scene: Scene): void {
    const store = this.#store;
    const names = store.get("axes").map(({ model }) => model);
    const title = names.length > 3 ? `${names.length} models` : names.join(" × ");
    this.element.setAttribute("aria-label", `Similarity of the layers of ${title}`);
    if (this.#title.firstChild?.textContent !== title) this.#title.replaceChildren(title, " ", this.#scaleNote);
    this.#title.title = title;
    this.#scaleNote.textContent = colourNote(scene);
    const measures = store.snapshot.meta.measures.map(({ name, title: text }) => ({ key: name, text }));
    this.#measures.show(measures, store.get("measure"));
    this.#shows.show(SHOWS, store.get("shows"));
    this.#models.show(names, store.get("view"));
  }

  #showNotes(): void {
    const notes = notesOf(this.#store.get("run")).map((one) => `Note: ${one}`);
    if (notes.join("\n") === [...this.#notes.children].map((one) => one.textContent).join("\n")) return;
    this.#notes.replaceChildren(...notes.map((one) => html("p", "", one)));
  }

  /**
   * Hold the pair of a cell. If the pair is held already, Enter pins or unpins it; a click does nothing, since a double
   * click resets the zoom.
   */
  #holdOrPin(place: Place): void {
    const pair = this.#plot.pairAt(place);
    if (!pair) return;
    const held = this.#store.get("selection");
    if (!held || !equalPairs(held, pair)) this.#store.set("selection", pair);
    else if (this.#plot.focused) pinOrUnpin(this.#store, pair);
  }

  /** Open the blocks around a layer and move the keyboard to the layer; false if neither side has it. */
  #find(name: string): boolean {
    const has = this.#folding.openFor(name);
    if (!has.some(Boolean)) return false;
    this.#draw(); // the map must have the opened rows before the keyboard moves to one
    const plot = this.#plot;
    const at = (side: Side, here: boolean, before = 0) => (here ? positionOf(side, name) : Math.max(0, before));
    const [x, y] = this.#folding.sides;
    const place = { row: at(x, has[0], plot.pointed?.row), column: at(y, has[1], plot.pointed?.column) };
    plot.element.focus({ preventScroll: true });
    plot.pointed = place;
    plot.focused = true;
    plot.viewport.reveal(place.row, place.column);
    this.#schedule();
    return true;
  }
}

function namesOf(side: Side | undefined): string[] {
  return side ? side.entries.map(({ index }) => side.layers[index] ?? "") : [];
}
