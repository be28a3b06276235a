/** The tools above the map: find a layer, filter, open blocks to a depth, fold both sides alike, show best matches. */

import type { ToolSettings } from "../map/folding";
import { html } from "../parts/dom";

export interface ToolActions {
  find(name: string): boolean;
  /** open the blocks of both sides down to a depth; undefined opens the blocks that are open by default */
  open(depth: number | undefined): void;
  changed(): void;
}

/** The greatest number of names in the list of layers to find. */
const MAX_NAMES = 2000;

export class Tools {
  readonly element = html("div", "tools");
  readonly settings: ToolSettings = { filter: "", foldBoth: false, bestMatch: false };
  #names = html("datalist");
  #find = html("input", "find");
  #filter = html("input", "filter");
  #depth = html("select", "depth");
  #best: HTMLInputElement;
  #offered: unknown[] = [];
  #depths = -1;

  constructor(actions: ToolActions) {
    this.#names.id = `simwidget-layers-${Math.random().toString(36).slice(2)}`;
    described(this.#find, "Find a layer", "find a layer");
    this.#find.setAttribute("list", this.#names.id);
    const find = (sure: boolean) => {
      const name = this.#find.value.trim();
      const found = name !== "" && actions.find(name);
      this.#find.setAttribute("aria-invalid", String(sure && name !== "" && !found));
      if (found) this.#find.value = "";
    };
    this.#find.onchange = () => find(true);
    described(this.#filter, "Filter layers by type or pattern", "filter: *.bn?");
    this.#filter.oninput = () => {
      this.settings.filter = this.#filter.value;
      actions.changed();
    };
    this.#depth.setAttribute("aria-label", "Open blocks to a depth");
    this.#depth.onchange = () => {
      const { value } = this.#depth;
      actions.open(value === "usual" ? undefined : Number(value));
      this.#depth.value = "";
    };
    const foldBoth = checkbox("fold-both", "fold alike", "Blocks of the same name open on both sides", (on) => {
      this.settings.foldBoth = on;
      actions.changed();
    });
    const best = checkbox("best", "best match", "A line through the most similar column of each row", (on) => {
      this.settings.bestMatch = on;
      actions.changed();
    });
    this.#best = best.input;
    this.element.append(this.#find, this.#names, this.#filter, this.#depth, foldBoth.label, best.label);
  }

  /** Offer the layers of both sides and the depths up to `depth`; `canMatch` enables the choice of best matches. */
  show(layers: readonly (readonly string[])[], depth: number, canMatch: boolean): void {
    this.#best.disabled = !canMatch;
    if (layers.some((one, i) => one !== this.#offered[i])) {
      this.#offered = [...layers];
      const names = [...new Set(layers.flat())].slice(0, MAX_NAMES);
      this.#names.replaceChildren(...names.map((name) => new Option(name, name)));
    }
    if (depth !== this.#depths) {
      this.#depths = depth;
      const levels = Array.from({ length: depth + 1 }, (_, k) => [
        String(k),
        k === 0 ? "all blocks folded" : k === depth ? "every layer" : `depth ${k}`,
      ]);
      this.#depth.replaceChildren(
        ...[["", "open to …"], ["usual", "about 25 rows"], ...levels].map(([value, text]) => new Option(text, value)),
      );
      this.#depth.disabled = depth === 0;
    }
  }
}

function described(input: HTMLInputElement, name: string, hint: string): void {
  input.type = "text";
  input.autocomplete = "off";
  input.spellcheck = false;
  input.placeholder = hint;
  input.title = name;
  input.setAttribute("aria-label", name);
}

function checkbox(name: string, text: string, hint: string, choose: (on: boolean) => void) {
  const input = html("input");
  input.type = "checkbox";
  input.onchange = () => choose(input.checked);
  const label = html("label", name, input, html("span", "", text));
  label.title = hint;
  return { label, input };
}
