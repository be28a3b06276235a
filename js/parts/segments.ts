/** A row of buttons, exactly one of which is pressed. */

import { html } from "./dom";

export interface Segment {
  key: string;
  text: string;
  /** the tooltip */
  hint?: string;
  disabled?: boolean;
}

export class Segments {
  readonly element = html("div", "segments");
  #choose: (key: string) => void;
  #buttons = new Map<string, HTMLButtonElement>();

  constructor(name: string, choose: (key: string) => void) {
    this.#choose = choose;
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", name);
  }

  /** Show the buttons. They are made anew only if their keys have changed, so that drawing does not lose the focus. */
  show(segments: Segment[], chosen: string): void {
    if (segments.map(({ key }) => key).join("\n") !== [...this.#buttons.keys()].join("\n")) {
      this.#buttons = new Map(segments.map(({ key }) => [key, this.#button(key)]));
      this.element.replaceChildren(...this.#buttons.values());
    }
    for (const { key, text, hint, disabled } of segments) {
      const button = this.#buttons.get(key);
      if (!button) continue;
      button.textContent = text;
      button.title = hint ?? "";
      button.disabled = disabled ?? false;
      button.setAttribute("aria-pressed", String(key === chosen));
    }
  }

  #button(key: string): HTMLButtonElement {
    const button = html("button");
    button.type = "button";
    button.onclick = () => this.#choose(key);
    return button;
  }
}
