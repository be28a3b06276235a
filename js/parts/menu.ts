/** A button that opens a list of deeds. */

import { part } from "./dom";

export interface Deed {
  key: string;
  text: string;
  hint: string;
}

export class Menu {
  readonly element = part("details", "menu");
  #summary = part("summary", "", "Export ▾");

  constructor(deeds: Deed[], choose: (key: string) => void, signal: AbortSignal) {
    const list = part("div", "list");
    for (const { key, text, hint } of deeds) {
      const button = part("button", key, text);
      button.type = "button";
      button.title = hint;
      button.onclick = () => {
        this.element.open = false;
        choose(key);
      };
      list.append(button);
    }
    this.element.append(this.#summary, list);
    this.element.addEventListener(
      "keydown",
      (event) => {
        if (event.key !== "Escape" || !this.element.open) return;
        this.element.open = false;
        this.#summary.focus();
        event.stopPropagation();
      },
      { signal },
    );
    const outside = (target: EventTarget | null) => target instanceof Node && !this.element.contains(target);
    const leave = (target: EventTarget | null) => {
      if (outside(target)) this.element.open = false;
    };
    this.element.addEventListener("focusout", ({ relatedTarget }) => leave(relatedTarget), { signal });
    document.addEventListener("pointerdown", ({ target }) => leave(target), { signal });
  }
}
