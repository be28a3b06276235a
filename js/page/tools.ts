/** The row of tools above the map: find a layer, filter, open to a depth, fold both sides alike, the best matches. */

import type { Chosen } from "../map/folding";
import { part } from "../parts/dom";

export interface Deeds {
  find(name: string): boolean;
  /** open both sides to a depth; undefined for the usual one */
  open(depth: number | undefined): void;
  changed(): void;
}

/** As many names are offered. */
const OFFERED = 2000;

export class Tools {
  readonly element = part("div", "tools");
  readonly chosen: Chosen = { filter: "", alike: false, best: false };
  #names = part("datalist");
  #find = part("input", "find");
  #filter = part("input", "filter");
  #depth = part("select", "depth");
  #best: HTMLInputElement;
  #offered: unknown[] = [];
  #depths = -1;

  constructor(deeds: Deeds) {
    this.#names.id = `simwidget-layers-${Math.random().toString(36).slice(2)}`;
    described(this.#find, "Find a layer", "find a layer");
    this.#find.setAttribute("list", this.#names.id);
    const find = (sure: boolean) => {
      const name = this.#find.value.trim();
      const found = name !== "" && deeds.find(name);
      this.#find.setAttribute("aria-invalid", String(sure && name !== "" && !found));
      if (found) this.#find.value = "";
    };
    this.#find.onchange = () => find(true);
    described(this.#filter, "Filter layers by type or pattern", "filter: *.bn?");
    this.#filter.oninput = () => {
      this.chosen.filter = this.#filter.value;
      deeds.changed();
    };
    this.#depth.setAttribute("aria-label", "Open blocks to a depth");
    this.#depth.onchange = () => {
      const { value } = this.#depth;
      deeds.open(value === "usual" ? undefined : Number(value));
      this.#depth.value = "";
    };
    const alike = checkbox("alike", "fold alike", "Blocks of the same name open on both sides", (on) => {
      this.chosen.alike = on;
      deeds.changed();
    });
    const best = checkbox("best", "best match", "A line through the most similar column of each row", (on) => {
      this.chosen.best = on;
      deeds.changed();
    });
    this.#best = best.input;
    this.element.append(this.#find, this.#names, this.#filter, this.#depth, alike.label, best.label);
  }

  /** The layers that can be found, and how deep blocks go. */
  show(layers: readonly (readonly string[])[], depth: number, canMatch: boolean): void {
    this.#best.disabled = !canMatch;
    if (layers.some((one, i) => one !== this.#offered[i])) {
      this.#offered = [...layers];
      const names = [...new Set(layers.flat())].slice(0, OFFERED);
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
  const input = part("input");
  input.type = "checkbox";
  input.onchange = () => choose(input.checked);
  const label = part("label", name, input, part("span", "", text));
  label.title = hint;
  return { label, input };
}
