/** The choice of the two models that are shown: buttons for two models, two lists for more. */

import { html } from "../parts/dom";
import { Segments } from "../parts/segments";

export class ModelPicker {
  readonly element = html("div", "models");
  #segments: Segments;
  #lists: [HTMLSelectElement, HTMLSelectElement];
  #choose: (view: [number, number]) => void;
  #names = "";

  constructor(choose: (view: [number, number]) => void) {
    this.#choose = choose;
    this.#segments = new Segments("Models", (key) => choose(key.split(" ").map(Number) as [number, number]));
    this.#lists = [html("select"), html("select")];
    for (const [list, name] of [
      [this.#lists[0], "Model of the rows"],
      [this.#lists[1], "Model of the columns"],
    ] as const) {
      list.setAttribute("aria-label", name);
      list.onchange = () => this.#choose(this.#lists.map(({ value }) => Number(value)) as [number, number]);
    }
  }

  show(names: string[], view: [number, number]): void {
    if (names.join("\n") !== this.#names) {
      this.#names = names.join("\n");
      const [rows, columns] = this.#lists;
      for (const list of this.#lists) {
        list.replaceChildren(...names.map((name, i) => new Option(name, String(i))));
      }
      this.element.replaceChildren(...(names.length > 2 ? [rows, "×", columns] : [this.#segments.element]));
    }
    if (names.length > 2) {
      view.forEach((position, side) => (this.#lists[side]!.value = String(position)));
      return;
    }
    const pairs = names.length === 2 ? ["0 1", "0 0", "1 1"] : ["0 0"];
    const chosen = view.join(" ") === "1 0" ? "0 1" : view.join(" ");
    this.#segments.show(
      pairs.map((key) => {
        const [x, y] = key.split(" ").map(Number) as [number, number];
        const text = x === y ? `within ${names[x]}` : `${names[x]} × ${names[y]}`;
        return { key, text, hint: text };
      }),
      chosen,
    );
  }
}
