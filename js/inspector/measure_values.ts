/** The numbers of a pair: every measure with its standard error, all in the same size. */

import { html } from "../parts/dom";
import { setAttribute, setClass, setText } from "../parts/dom_updates";
import type { MeasureInfo, Selection } from "../state/model";
import type { Store } from "../state/store";
import { numberTexts, whyMissing } from "../state/display_text";

/** The greatest number of pairs whose numbers are remembered. */
const MAX_KEPT = 8;

export interface PairNumber {
  about: MeasureInfo;
  value: number;
  stderr: number;
}

/**
 * The numbers of pairs of layers: from the latest detail if there is one, else from the snapshot. The numbers are
 * remembered, since reading the snapshot takes time.
 */
export class PairNumbers {
  #kept = new Map<string, { of: unknown[]; rows: PairNumber[] }>();

  constructor(private store: Store) {}

  of(pair: Selection): PairNumber[] {
    const key = JSON.stringify(pair);
    const { store } = this;
    const of = [store.detail(pair), store.snapshot, store.get("run"), store.get("axes")];
    const kept = this.#kept.get(key);
    if (kept?.of.every((one, k) => one === of[k])) return kept.rows;
    if (this.#kept.size >= MAX_KEPT) this.#kept.clear();
    const rows = this.#read(pair);
    this.#kept.set(key, { of, rows });
    return rows;
  }

  #read(pair: Selection): PairNumber[] {
    const latest = new Map((this.store.detail(pair)?.measures ?? []).map((one) => [one.name, one]));
    const axes = this.store.get("axes");
    const [x, y] = [pair.model_x, pair.model_y].map((name) => axes.findIndex(({ model }) => model === name));
    const [i, j] = [axes[x!]?.layers.indexOf(pair.layer_x) ?? -1, axes[y!]?.layers.indexOf(pair.layer_y) ?? -1];
    return this.store.snapshot.meta.measures.map((about) => {
      const one = latest.get(about.name);
      if (one) return { about, value: one.value ?? NaN, stderr: one.stderr ?? NaN };
      const cells = i >= 0 && j >= 0 ? this.store.cells(about.name, [x!, y!]) : undefined;
      const at = cells ? i * cells.columns.length + j : -1;
      return { about: cells?.about ?? about, value: cells?.values[at] ?? NaN, stderr: cells?.stderr[at] ?? NaN };
    });
  }
}

interface Entry {
  name: HTMLElement;
  number: HTMLElement;
  value: HTMLElement;
  error: HTMLElement;
}

export class NumberList {
  readonly element = html("dl", "numbers");
  #entries = new Map<string, Entry>();

  /** Show the numbers. The elements are made anew only if the measures have changed. */
  show(rows: PairNumber[], pair: Selection, shown: string): void {
    const names = rows.map(({ about }) => about.name);
    if (names.join("\n") !== [...this.#entries.keys()].join("\n")) {
      this.#entries = new Map(names.map((name) => [name, entry()]));
      this.element.replaceChildren(...[...this.#entries.values()].flatMap(({ name, number }) => [name, number]));
    }
    for (const { about, value, stderr } of rows) {
      const { name, number, ...texts } = this.#entries.get(about.name)!;
      const missing = Number.isNaN(value);
      const [first, second] = missing ? ["", whyMissing(about, pair)] : numberTexts(value, stderr);
      setText(name, about.title);
      setText(texts.value, first);
      setText(texts.error, second);
      for (const one of [name, number]) setClass(one, "shown", about.name === shown);
      setAttribute(number, "data-none", missing ? "" : null);
    }
  }
}

function entry(): Entry {
  const [value, error] = [html("strong"), html("small")];
  return { name: html("dt"), number: html("dd", "", value, " ", error), value, error };
}
