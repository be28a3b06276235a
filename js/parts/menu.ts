/** A button that opens a list of commands; Escape, or a click elsewhere, closes it. */

import { html } from "./dom";

export interface MenuItem {
  key: string;
  text: string;
  hint: string;
}

export class Menu {
  readonly element = html("details", "menu");
  #summary = html("summary", "", "Export ▾");

  constructor(items: MenuItem[], choose: (key: string) => void, signal: AbortSignal) {
    const list = html("div", "list");
    for (const { key, text, hint } of items) {
      const button = html("button", key, text);
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
    const closeOutside = (target: EventTarget | null) => {
      if (outside(target)) this.element.open = false;
    };
    this.element.addEventListener("focusout", ({ relatedTarget }) => closeOutside(relatedTarget), { signal });
    document.addEventListener("pointerdown", ({ target }) => closeOutside(target), { signal });
  }
}
