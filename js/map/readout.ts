/** The readout of the pointed cell or header: two lines below the map, and a name for screen readers. */

import { html } from "../parts/dom";
import type { Axis } from "../state/model";
import { equalPairs } from "../state/pairs";
import { cellText, HINT, mapText } from "./readout_text";
import type { Plot } from "./plot";
import { ReaderGrid } from "./screen_reader";

export class Readout {
  readonly element = html("div", "readout");
  #plot: Plot;
  #grid: ReaderGrid;

  constructor(plot: Plot) {
    this.#plot = plot;
    this.#grid = new ReaderGrid(plot);
  }

  show(axes: Axis[]): void {
    const { scene, pointed } = this.#plot;
    if (!scene) return;
    const pair = this.#plot.pairAt(pointed);
    const cell = pointed && cellText(scene, pointed, pair, axes);
    const lines = cell?.lines ?? HINT;
    if (lines.join("") !== this.element.textContent) {
      this.element.replaceChildren(...lines.map((text) => html("span", "", text)));
      this.element.title = cell ? lines.join("\n") : "";
    }
    const map = mapText(scene);
    const selected = scene.held !== null && pair !== undefined && equalPairs(scene.held, pair);
    this.#grid.describe(map, { text: cell?.name ?? map, expanded: cell?.expanded, selected });
  }
}
