/**
 * The list of the pinned pairs: each with the number and colour of its curve, its value, and buttons to hold and unpin.
 */

import { html } from "../parts/dom";
import { focusWithin } from "../parts/focus";
import { ChangeDetector, setAttribute, setClass, setHidden, setText } from "../parts/dom_updates";
import type { Selection } from "../state/model";
import { sameLayers } from "../state/pairs";
import { MAX_PINNED } from "../state/pinned";
import { numberTexts, whyMissing } from "../state/display_text";
import { nameLine } from "./pair_names";
import type { PairNumber } from "./measure_values";

interface Item {
  element: HTMLLIElement;
  hold: HTMLButtonElement;
  badge: HTMLElement;
  value: HTMLElement;
  error: HTMLElement;
  unpin: HTMLButtonElement;
}

export class Pins {
  readonly element = html("ol", "pins");
  #items = new Map<string, Item>();
  #fresh = new ChangeDetector();

  constructor(
    private hold: (pair: Selection) => void,
    private unpin: (pair: Selection) => void,
  ) {
    this.element.setAttribute("role", "list");
    this.element.setAttribute("aria-label", "Pinned pairs");
  }

  /** Show the list. `rows` has the numbers of the shown measure. A pair keeps its element while it is pinned. */
  show(pinned: Selection[], rows: (PairNumber | undefined)[], held: Selection | null): void {
    setHidden(this.element, pinned.length === 0);
    // the models are named unless all pinned pairs are of the same models as the held pair
    const models = (one: Selection) => JSON.stringify([one.model_x, one.model_y]);
    setClass(this.element, "brief", held !== null && pinned.every((one) => models(one) === models(held)));
    const keys = pinned.map((pair) => JSON.stringify(pair));
    if (this.#fresh.differs(...keys)) this.#arrange(pinned, keys);
    pinned.forEach((pair, k) => {
      const item = this.#items.get(keys[k] ?? "");
      if (!item) return;
      const isHeld = held !== null && sameLayers(held, pair);
      const row = rows[k];
      const [value, error] = row && !Number.isNaN(row.value) ? numberTexts(row.value, row.stderr) : ["–", ""];
      setText(item.badge, String(k + 1));
      setAttribute(item.element, "class", `pin tone${(k % MAX_PINNED) + 1}`);
      setAttribute(item.hold, "aria-current", isHeld ? "true" : null);
      setAttribute(item.hold, "title", value === "–" && row ? whyMissing(row.about, pair) : "Hold this pair");
      setAttribute(item.unpin, "aria-label", `Unpin pair ${k + 1}`);
      setText(item.value, value);
      setText(item.error, error.replace(", needs 2 batches", ""));
    });
  }

  #arrange(pinned: Selection[], keys: string[]): void {
    const focus = focusWithin(this.element);
    const focused = [...this.#items.values()].findIndex(({ unpin }) => unpin === focus);
    const items = keys.map((key, k) => this.#items.get(key) ?? this.#item(pinned[k]!));
    this.#items = new Map(keys.map((key, k) => [key, items[k]!]));
    const there = items.map(({ element }) => element);
    for (const one of [...this.element.children]) if (!there.includes(one as HTMLLIElement)) one.remove();
    there.forEach((one, k) => {
      if (this.element.children[k] !== one) this.element.insertBefore(one, this.element.children[k] ?? null);
    });
    // the pressed button is gone with its pair: the focus goes to the next pair's button
    if (focused >= 0 && !focusWithin(this.element)) items[Math.min(focused, items.length - 1)]?.unpin.focus();
  }

  #item(pair: Selection): Item {
    const [badge, value, error] = [html("span", "badge"), html("strong"), html("small")];
    const names = html(
      "span",
      "names",
      nameLine(pair.model_x, pair.layer_x, "x"),
      nameLine(pair.model_y, pair.layer_y, "y"),
    );
    const spoken = `${pair.model_x} › ${pair.layer_x} × ${pair.model_y} › ${pair.layer_y}, `;
    // names on the screen may be shortened; screen readers get the whole names
    names.setAttribute("aria-hidden", "true");
    const hold = html(
      "button",
      "hold",
      badge,
      html("span", "spoken", spoken),
      names,
      html("span", "number", value, " ", error),
    );
    const unpin = html("button", "unpin", "✕");
    hold.type = unpin.type = "button";
    hold.onclick = () => this.hold(pair);
    unpin.onclick = () => this.unpin(pair);
    unpin.title = "Unpin";
    return { element: html("li", "pin", hold, unpin), hold, badge, value, error, unpin };
  }
}
