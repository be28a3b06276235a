/** The held pair of layers: their names, every measure with its error, and how these came about. */

import { Convergence } from "./curve";
import { part } from "./dom";
import type { MeasureInfo, Selection } from "./model";
import type { Store } from "./store";
import { numberTexts, whyMissing } from "./words";

interface Row {
  about: MeasureInfo;
  value: number;
  stderr: number;
}

export class Panel {
  readonly element = part("section", "panel");
  #hint = part("p", "hint", "Click a cell to hold its pair of layers here.");
  #names = part("div", "pair");
  #numbers = part("dl", "numbers");
  #convergence = new Convergence();
  #clear = part("button", "clear", "✕");

  constructor(private store: Store) {
    this.element.setAttribute("aria-label", "The held pair");
    this.#clear.type = "button";
    this.#clear.title = "Let the pair go (Escape)";
    this.#clear.setAttribute("aria-label", "Let the pair go");
    this.#clear.onclick = () => store.set("selection", null);
    this.element.append(this.#hint, this.#names, this.#numbers, this.#convergence.element);
  }

  show(): void {
    const pair = this.store.get("selection");
    this.#hint.hidden = pair !== null;
    for (const element of [this.#names, this.#numbers, this.#convergence.element]) element.hidden = pair === null;
    if (pair === null) return;
    this.#names.replaceChildren(
      ...[
        [pair.model_x, pair.layer_x],
        [pair.model_y, pair.layer_y],
      ].map(([model, layer]) =>
        part("div", "layer", part("span", "model", `${model} ›`), part("code", "", layer ?? "")),
      ),
      this.#clear,
    );
    this.#numbers.replaceChildren(...this.#values(pair).flatMap((row) => shown(row, pair)));
    const detail = this.store.detail;
    const curves = (detail?.measures ?? []).flatMap(({ name, curve }) => {
      const about = this.store.snapshot.about(name);
      return curve && about && about.kind !== "difference" ? [{ title: about.title, curve }] : [];
    });
    this.#convergence.element.hidden = !curves.some(({ curve }) => curve.values.some((value) => value !== null));
    if (!this.#convergence.element.hidden) {
      this.#convergence.show(curves, this.store.get("run").n_batches_expected);
    }
  }

  /** Every measure of the pair: as Python told it for one moment, else from the saved numbers. */
  #values(pair: Selection): Row[] {
    const told = new Map((this.store.detail?.measures ?? []).map((one) => [one.name, one]));
    const axes = this.store.get("axes");
    const view = [pair.model_x, pair.model_y].map((name) => axes.findIndex(({ model }) => model === name));
    const [i, j] = [
      axes[view[0]!]?.layers.indexOf(pair.layer_x) ?? -1,
      axes[view[1]!]?.layers.indexOf(pair.layer_y) ?? -1,
    ];
    return this.store.snapshot.meta.measures.map((about) => {
      const one = told.get(about.name);
      if (one) return { about, value: one.value ?? NaN, stderr: one.stderr ?? NaN };
      const cells = this.store.cells(about.name, view as [number, number]);
      const at = cells && i >= 0 && j >= 0 ? i * cells.columns.length + j : -1;
      return { about: cells?.about ?? about, value: cells?.values[at] ?? NaN, stderr: cells?.stderr[at] ?? NaN };
    });
  }
}

function shown({ about, value, stderr }: Row, pair: Selection): HTMLElement[] {
  const name = part("dt", about.kind, about.title);
  if (Number.isNaN(value)) return [name, part("dd", "none", part("small", "", whyMissing(about, pair)))];
  const [number, error] = numberTexts(value, stderr);
  return [name, part("dd", about.kind, part("strong", "", number), " ", part("small", "", error))];
}
