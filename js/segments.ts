/** A row of buttons of which one is chosen. */

export interface Segment {
  key: string;
  text: string;
}

export class Segments {
  readonly element = document.createElement("div");
  #choose: (key: string) => void;

  constructor(name: string, choose: (key: string) => void) {
    this.#choose = choose;
    this.element.className = "segments";
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", name);
  }

  show(segments: Segment[], chosen: string): void {
    this.element.replaceChildren(
      ...segments.map(({ key, text }) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = text;
        button.setAttribute("aria-pressed", String(key === chosen));
        button.onclick = () => this.#choose(key);
        return button;
      }),
    );
  }
}
