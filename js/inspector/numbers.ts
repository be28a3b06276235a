/** Every measure of a pair with its standard error, all of one size. */

import { part } from "../parts/dom";
import { flag, mark, say } from "../parts/fresh";
import type { MeasureInfo, Selection } from "../state/model";
import type { Store } from "../state/store";
import { numberTexts, whyMissing } from "../state/words";

/** Pairs whose saved numbers are kept. */
const MOST_KEPT = 8;

export interface Row {
  about: MeasureInfo;
  value: number;
  stderr: number;
}

/** The numbers of pairs: as Python told them for one moment, else the saved ones, which take time to read. */
export class Values {
  #kept = new Map<string, { of: unknown[]; rows: Row[] }>();

  constructor(private store: Store) {}

  of(pair: Selection): Row[] {
    const key = JSON.stringify(pair);
    const { store } = this;
    const of = [store.told(pair), store.snapshot, store.get("run"), store.get("axes")];
    const kept = this.#kept.get(key);
    if (kept?.of.every((one, k) => one === of[k])) return kept.rows;
    if (this.#kept.size >= MOST_KEPT) this.#kept.clear();
    const rows = this.#read(pair);
    this.#kept.set(key, { of, rows });
    return rows;
  }

  #read(pair: Selection): Row[] {
    const told = new Map((this.store.told(pair)?.measures ?? []).map((one) => [one.name, one]));
    const axes = this.store.get("axes");
    const [x, y] = [pair.model_x, pair.model_y].map((name) => axes.findIndex(({ model }) => model === name));
    const [i, j] = [axes[x!]?.layers.indexOf(pair.layer_x) ?? -1, axes[y!]?.layers.indexOf(pair.layer_y) ?? -1];
    return this.store.snapshot.meta.measures.map((about) => {
      const one = told.get(about.name);
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

export class Numbers {
  readonly element = part("dl", "numbers");
  #entries = new Map<string, Entry>();

  /** Entries stay the same elements while the measures do. */
  show(rows: Row[], pair: Selection, shown: string): void {
    const names = rows.map(({ about }) => about.name);
    if (names.join("\n") !== [...this.#entries.keys()].join("\n")) {
      this.#entries = new Map(names.map((name) => [name, entry()]));
      this.element.replaceChildren(...[...this.#entries.values()].flatMap(({ name, number }) => [name, number]));
    }
    for (const { about, value, stderr } of rows) {
      const { name, number, ...texts } = this.#entries.get(about.name)!;
      const missing = Number.isNaN(value);
      const [first, second] = missing ? ["", whyMissing(about, pair)] : numberTexts(value, stderr);
      say(name, about.title);
      say(texts.value, first);
      say(texts.error, second);
      for (const one of [name, number]) flag(one, "shown", about.name === shown);
      mark(number, "data-none", missing ? "" : null);
    }
  }
}

function entry(): Entry {
  const [value, error] = [part("strong"), part("small")];
  return { name: part("dt"), number: part("dd", "", value, " ", error), value, error };
}
