/** The Gram matrices of the two held layers on the same samples, side by side, each on a colour scale of its own. */

import { rgb } from "d3-color";
import { interpolateRdBu } from "d3-scale-chromatic";
import { html } from "../parts/dom";
import { ChangeDetector, setAttribute, setClass, setText } from "../parts/dom_updates";
import { TextWidths } from "../parts/text";
import type { Selection } from "../state/model";
import type { DecodedInside } from "../state/latest_numbers";
import { sideMark } from "./pair_names";

/** The share of the off-diagonal entries that lie within the colour scale; larger ones have its last colour. */
const SHARE_IN_RANGE = 0.98;
const STEPS = 255;
/** The colour scale, blue for negative entries and red for positive ones; bytes are red, green, blue, alpha. */
const COLOURS = Uint32Array.from({ length: STEPS }, (_, k) => {
  const { r, g, b } = rgb(interpolateRdBu(1 - k / (STEPS - 1)));
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
});

/** Consecutive samples with the same label: from `from` up to, but without, `to`. */
export interface Span {
  label: number;
  from: number;
  to: number;
}

export class Grams {
  readonly element = html("section", "grams");
  #heading = html("h4");
  #about = html("p", "below");
  #pair = html("div", "both");
  #figures: [GramFigure, GramFigure] | undefined;

  constructor() {
    const scale = html("span", "diverging", "−", html("i"), "+");
    scale.title = "Blue: the layer sets two samples apart. Red: it puts them together.";
    this.element.append(html("div", "head", this.#heading, scale), this.#pair, this.#about);
  }

  show({ size, n_samples, labels, gramX, gramY }: DecodedInside, pair: Selection): void {
    if (!this.#figures) {
      // made when they are first needed, since most pages of a saved result have no Gram matrices
      this.#figures = [new GramFigure("x"), new GramFigure("y")];
      this.#pair.append(...this.#figures.map(({ element }) => element));
    }
    setText(this.#heading, labels ? "Gram matrices, by label" : "Gram matrices");
    const some = size < n_samples ? `${size} of ${n_samples}` : String(size);
    setText(this.#about, `${some} samples, each matrix scaled for itself`);
    const names = pair.model_x === pair.model_y ? [pair.layer_x, pair.layer_y] : [pair.model_x, pair.model_y];
    this.#figures[0].show(gramX, size, labels, names[0] ?? "", `${pair.model_x} › ${pair.layer_x}`);
    this.#figures[1].show(gramY, size, labels, names[1] ?? "", `${pair.model_y} › ${pair.layer_y}`);
  }
}

class GramFigure {
  readonly element: HTMLElement;
  #canvas = html("canvas");
  #top = html("div", "spans top");
  #left = html("div", "spans left");
  #name = html("bdi");
  #fresh = new ChangeDetector();
  #freshTicks = new ChangeDetector();
  #texts = new TextWidths();

  constructor(side: "x" | "y") {
    this.#canvas.setAttribute("role", "img");
    this.#name.dir = "auto";
    for (const one of [this.#top, this.#left]) one.setAttribute("aria-hidden", "true");
    const caption = html("figcaption", "", sideMark(side), this.#name);
    this.element = html("figure", "gram", html("div", "square", this.#canvas, this.#top, this.#left), caption);
  }

  show(gram: Float32Array, size: number, labels: number[] | null, name: string, whole: string): void {
    setText(this.#name, name);
    setAttribute(this.#name, "title", whole);
    const spans = labels ? spansOf(labels) : [];
    const length = this.#canvas.clientWidth;
    if (this.#freshTicks.differs(labels?.join(), size, length)) this.#drawTicks(spans, size, length);
    if (!this.#fresh.differs(gram, whole)) return;
    if (this.#canvas.width !== size) this.#canvas.width = this.#canvas.height = size;
    const context = size ? this.#canvas.getContext("2d") : null;
    context?.putImageData(new ImageData(gramPixels(gram, limitOf(gram, size)), size, size), 0, 0);
    setAttribute(this.#canvas, "aria-label", descriptionOf(whole, gram, size, spans));
  }

  #drawTicks(spans: Span[], size: number, length: number): void {
    const pitch = length / size;
    const texts = spanTexts(spans, pitch, (text) => this.#texts.width(text));
    const ticks = ticksOf(spans, pitch);
    const at = (position: number) => `${(100 * position) / size}%`;
    const placed = (element: HTMLElement, side: "left" | "top", position: number) => {
      element.style[side] = at(position);
      return element;
    };
    this.#top.replaceChildren(
      ...ticks.map((tick) => placed(html("i"), "left", tick)),
      ...texts.map(({ text, middle }) => placed(html("span", "", text), "left", middle)),
    );
    this.#left.replaceChildren(...ticks.map((tick) => placed(html("i"), "top", tick)));
    setClass(this.element, "labelled", texts.length > 0);
    setClass(this.element, "ticked", ticks.length > 0);
  }
}

/**
 * The limit L of the colour scale, which runs from -L to L. The share `SHARE_IN_RANGE` of the off-diagonal entries is
 * between these ends.
 */
export function limitOf(gram: Float32Array, size: number): number {
  const sizes = new Float32Array(size * Math.max(0, size - 1));
  let count = 0;
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      const entry = Math.abs(gram[i * size + j] ?? NaN);
      if (i !== j && Number.isFinite(entry)) sizes[count++] = entry;
    }
  }
  const sorted = sizes.subarray(0, count).sort();
  return sorted[Math.min(count - 1, Math.floor(SHARE_IN_RANGE * count))] || Math.max(0, ...diagonal(gram, size)) || 1;
}

/** The RGBA pixels of a Gram matrix; entries that are not a number stay transparent. */
export function gramPixels(gram: Float32Array, limit: number): Uint8ClampedArray<ArrayBuffer> {
  const data = new Uint8ClampedArray(4 * gram.length);
  const pixels = new Uint32Array(data.buffer);
  const middle = (STEPS - 1) / 2;
  gram.forEach((entry, k) => {
    const step = Math.round(middle * (1 + Math.max(-1, Math.min(1, entry / limit))));
    pixels[k] = COLOURS[step] ?? 0;
  });
  return data;
}

/** The spans of consecutive equal labels. */
export function spansOf(labels: number[]): Span[] {
  const spans: Span[] = [];
  labels.forEach((label, k) => {
    const last = spans.at(-1);
    if (last?.label === label) last.to = k + 1;
    else spans.push({ label, from: k, to: k + 1 });
  });
  return spans;
}

/** Where labels change; nothing if spans are too narrow for ticks. `pitch` is the width of a sample in pixels. */
export function ticksOf(spans: Span[], pitch: number): number[] {
  const changes = spans.slice(1).map(({ from }) => from);
  const room = (spans.at(-1)?.to ?? 0) * pitch;
  return room / spans.length >= 4 ? changes : [];
}

/** The labels that fit over their spans of samples, and the middle of each span; nothing if most labels do not fit. */
export function spanTexts(
  spans: Span[],
  pitch: number,
  width: (text: string) => number,
): { text: string; middle: number }[] {
  const fitting = spans.filter(({ label, from, to }) => width(String(label)) + 4 <= (to - from) * pitch);
  if (2 * fitting.length < spans.length) return [];
  return fitting.map(({ label, from, to }) => ({ text: String(label), middle: (from + to) / 2 }));
}

/** The Gram matrix in words: its mean entries within and between labels, as percentages of its mean diagonal. */
function descriptionOf(whole: string, gram: Float32Array, size: number, spans: Span[]): string {
  const self = diagonal(gram, size).reduce((sum, one) => sum + one, 0) / size;
  const place = new Int32Array(size);
  spans.forEach(({ from, to }, k) => place.fill(k, from, to));
  const [sums, counts] = [
    [0, 0],
    [0, 0],
  ];
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < i; j++) {
      const group = Number(place[i] !== place[j]);
      sums[group]! += gram[i * size + j] ?? NaN;
      counts[group]! += 1;
    }
  }
  const share = (group: number) => `${Math.round((100 * (sums[group] ?? 0)) / (counts[group] ?? 0) / self)}%`;
  const what = `Gram matrix of ${size} samples in ${whole}`;
  const known = (group: number) => counts[group]! > 0 && self > 0;
  if (!spans.length || !known(0) || !known(1)) return what;
  const labels = `sorted by label, ${spans.length} labels`;
  return `${what}, ${labels}. Mean within a label ${share(0)} of the diagonal, between labels ${share(1)}`.replace(
    "-",
    "−",
  );
}

function diagonal(gram: Float32Array, size: number): number[] {
  return Array.from({ length: size }, (_, k) => gram[k * size + k] ?? NaN).filter(Number.isFinite);
}
