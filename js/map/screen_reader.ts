/**
 * The map for screen readers: an ARIA grid that contains one element, the cell or header at the focus, and names it.
 * Elements for all cells would be too many.
 */

import { html } from "../parts/dom";
import type { Plot } from "./plot";

export interface SpokenCell {
  text: string;
  /** for a header of a block: whether the block is open; otherwise undefined */
  expanded?: boolean | undefined;
  selected: boolean;
}

export class ReaderGrid {
  readonly element = html("div", "reader");
  #cell = html("div", "");
  #plot: Plot;

  constructor(plot: Plot) {
    this.#plot = plot;
    const { element } = plot;
    this.#cell.id = `simwidget-cell-${Math.random().toString(36).slice(2)}`;
    const row = html("div", "", this.#cell);
    row.setAttribute("role", "row");
    this.element.append(row);
    element.tabIndex = 0;
    element.setAttribute("role", "grid");
    element.setAttribute("aria-activedescendant", this.#cell.id);
    element.append(this.element);
  }

  /** Say what the map is, and the cell or header at the focus. */
  describe(map: string, said: SpokenCell): void {
    const { pointed, shape, element } = this.#plot;
    const { row, column } = pointed ?? { row: 0, column: 0 };
    element.setAttribute("aria-label", map);
    // the headers count as the first row and the first column
    element.setAttribute("aria-rowcount", String(shape[0] + 1));
    element.setAttribute("aria-colcount", String(shape[1] + 1));
    const cell = this.#cell;
    cell.setAttribute("role", row < 0 ? "columnheader" : column < 0 ? "rowheader" : "gridcell");
    cell.parentElement?.setAttribute("aria-rowindex", String(row + 2));
    cell.setAttribute("aria-colindex", String(column + 2));
    cell.setAttribute("aria-selected", String(said.selected));
    if (said.expanded === undefined) cell.removeAttribute("aria-expanded");
    else cell.setAttribute("aria-expanded", String(said.expanded));
    if (cell.textContent !== said.text) cell.textContent = said.text;
  }
}
