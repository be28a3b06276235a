/** The names of the held pair, what can be done with it, and names in one line. */

import { drawn, part } from "../parts/dom";
import { Fresh, mark } from "../parts/fresh";
import type { Selection } from "../state/model";
import { FULL, MOST_PINNED, numberOf } from "../state/pinned";

/** Letters at the ends of layers' and models' names that stay when there is no room for all: they tell them apart. */
const [LAYER_TAIL, MODEL_TAIL] = [9, 3];

export interface Deeds {
  pin: () => void;
  letGo: () => void;
}

export class Names {
  readonly element = part("div", "pair");
  #names = part("div", "names");
  #pin = part("button", "pin-toggle");
  #clear = part("button", "let-go", "✕");
  #fresh = new Fresh();

  constructor({ pin, letGo }: Deeds) {
    this.#pin.type = this.#clear.type = "button";
    this.#pin.append(pushpin());
    this.#pin.onclick = () => {
      if (this.#pin.getAttribute("aria-disabled") !== "true") pin();
    };
    this.#clear.title = "Let the pair go (Escape)";
    this.#clear.setAttribute("aria-label", "Let the pair go");
    this.#clear.onclick = letGo;
    this.element.append(this.#names, part("div", "deeds", this.#pin, this.#clear));
  }

  show(pair: Selection, pinned: Selection[]): void {
    if (this.#fresh.differs(pair.model_x, pair.layer_x, pair.model_y, pair.layer_y)) {
      this.#names.replaceChildren(named(pair.model_x, pair.layer_x, "x"), named(pair.model_y, pair.layer_y, "y"));
    }
    const number = numberOf(pinned, pair);
    const full = !number && pinned.length >= MOST_PINNED;
    // it can still be reached and says why, which a disabled button could not
    mark(this.#pin, "class", `pin-toggle tone${number}`);
    mark(this.#pin, "aria-disabled", full ? "true" : null);
    mark(this.#pin, "aria-pressed", String(number > 0));
    mark(this.#pin, "aria-label", full ? `Pin this pair. ${FULL}` : "Pin this pair");
    mark(this.#pin, "title", full ? FULL : number ? "Unpin this pair" : "Pin this pair, to compare it with others");
  }
}

/** Which of the two layers something is about: the same mark wherever one of them is named. */
export function sideMark(side: "x" | "y"): HTMLElement {
  const element = part("i", `side ${side}`);
  element.setAttribute("aria-hidden", "true");
  return element;
}

/** Model and layer; what does not fit into some lines is in the title. */
function named(model: string, layer: string, side: "x" | "y"): HTMLElement {
  const code = part("code", "", layer);
  const name = part("bdi", "model", model);
  code.dir = name.dir = "auto";
  const element = part("div", "layer", sideMark(side), name, part("span", "sep", " › "), code);
  element.title = `${model} › ${layer}`;
  return element;
}

/** Model and layer in one line, both cut in their middle where there is no room. */
export function nameLine(model: string, layer: string, side: "x" | "y"): HTMLElement {
  const names = [
    cuttable("model", model, MODEL_TAIL),
    part("span", "sep", "›"),
    cuttable("layer-name", layer, LAYER_TAIL),
  ];
  const element = part("span", "name-line", sideMark(side), ...names);
  element.title = `${model} › ${layer}`;
  return element;
}

/** A name whose head gives way to its tail. */
function cuttable(name: string, text: string, tail: number): HTMLElement {
  const letters = Array.from(text);
  const cut = Math.max(0, letters.length - tail);
  const [head, end] = [letters.slice(0, cut).join(""), letters.slice(cut).join("")];
  const element = part("bdi", `${name} cut`, part("span", "front", head), part("span", "tail", end));
  element.dir = "auto";
  element.style.minWidth = `${Math.min(letters.length, tail + 2)}ch`;
  return element;
}

function pushpin(): SVGElement {
  const glyph = drawn("svg", { viewBox: "0 0 16 16", width: 15, height: 15, "aria-hidden": "true", class: "pushpin" });
  glyph.append(
    drawn("path", { class: "head", d: "M5.2 1.8h5.6M6 1.8v4.4L4 9.2h8L10 6.2V1.8" }),
    drawn("path", { d: "M8 9.4v5" }),
  );
  return glyph;
}
