/** The full names of the held pair, with buttons to pin and release it; and names of layers in one line. */

import { html, svg } from "../parts/dom";
import { ChangeDetector, setAttribute } from "../parts/dom_updates";
import type { Selection } from "../state/model";
import { cannotPin, NO_MORE_PINS, pinNumber } from "../state/pinned";

/** How many of the last letters of a layer's and a model's name are always shown, since they tell names apart. */
const [LAYER_TAIL, MODEL_TAIL] = [9, 3];

export interface PairActions {
  pin: () => void;
  release: () => void;
}

export class Names {
  readonly element = html("div", "pair");
  #names = html("div", "names");
  #pin = html("button", "pin-toggle");
  #release = html("button", "release", "✕");
  #fresh = new ChangeDetector();

  constructor({ pin, release: letGo }: PairActions) {
    this.#pin.type = this.#release.type = "button";
    this.#pin.append(pushpin());
    this.#pin.onclick = () => {
      if (this.#pin.getAttribute("aria-disabled") !== "true") pin();
    };
    this.#release.title = "Let the pair go (Escape)";
    this.#release.setAttribute("aria-label", "Let the pair go");
    this.#release.onclick = letGo;
    this.element.append(this.#names, html("div", "actions", this.#pin, this.#release));
  }

  show(pair: Selection, pinned: Selection[]): void {
    if (this.#fresh.differs(pair.model_x, pair.layer_x, pair.model_y, pair.layer_y)) {
      this.#names.replaceChildren(fullName(pair.model_x, pair.layer_x, "x"), fullName(pair.model_y, pair.layer_y, "y"));
    }
    const number = pinNumber(pinned, pair);
    const full = cannotPin(pinned, pair);
    // if no more pairs can be pinned, the button stays reachable by keyboard, and its title says why it does nothing
    setAttribute(this.#pin, "class", `pin-toggle tone${number}`);
    setAttribute(this.#pin, "aria-disabled", full ? "true" : null);
    setAttribute(this.#pin, "aria-pressed", String(number > 0));
    setAttribute(this.#pin, "aria-label", full ? `Pin this pair. ${NO_MORE_PINS}` : "Pin this pair");
    setAttribute(
      this.#pin,
      "title",
      full ? NO_MORE_PINS : number ? "Unpin this pair" : "Pin this pair, to compare it with others",
    );
  }
}

/** The mark before a layer's name: a dot for the layer of the row, a ring for the layer of the column. */
export function sideMark(side: "x" | "y"): HTMLElement {
  const element = html("i", `side ${side}`);
  element.setAttribute("aria-hidden", "true");
  return element;
}

/** Model and layer, wrapped over several lines if needed; the tooltip has the whole name. */
function fullName(model: string, layer: string, side: "x" | "y"): HTMLElement {
  const code = html("code", "", layer);
  const name = html("bdi", "model", model);
  code.dir = name.dir = "auto";
  const element = html("div", "layer", sideMark(side), name, html("span", "sep", " › "), code);
  element.title = `${model} › ${layer}`;
  return element;
}

/** Model and layer in one line; without enough room, each is shortened in front of its last letters. */
export function nameLine(model: string, layer: string, side: "x" | "y"): HTMLElement {
  const names = [
    shortenedName("model", model, MODEL_TAIL),
    html("span", "sep", "›"),
    shortenedName("layer-name", layer, LAYER_TAIL),
  ];
  const element = html("span", "name-line", sideMark(side), ...names);
  element.title = `${model} › ${layer}`;
  return element;
}

/** A name that is shortened in front of its last `tail` letters where there is no room for all of it. */
function shortenedName(name: string, text: string, tail: number): HTMLElement {
  const letters = Array.from(text);
  const cut = Math.max(0, letters.length - tail);
  const [head, end] = [letters.slice(0, cut).join(""), letters.slice(cut).join("")];
  const element = html("bdi", `${name} cut`, html("span", "front", head), html("span", "tail", end));
  element.dir = "auto";
  element.style.minWidth = `${Math.min(letters.length, tail + 2)}ch`;
  return element;
}

function pushpin(): SVGElement {
  const glyph = svg("svg", { viewBox: "0 0 16 16", width: 15, height: 15, "aria-hidden": "true", class: "pushpin" });
  glyph.append(
    svg("path", { class: "head", d: "M5.2 1.8h5.6M6 1.8v4.4L4 9.2h8L10 6.2V1.8" }),
    svg("path", { d: "M8 9.4v5" }),
  );
  return glyph;
}
