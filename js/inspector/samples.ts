/** The samples on which the two held layers agree least, or most, as thumbnails or as numbers. */

import { html } from "../parts/dom";
import { ChangeDetector, setAttribute, setClass, setHidden, setText } from "../parts/dom_updates";
import { Segments } from "../parts/segments";
import type { Sample } from "../state/model";
import type { DecodedInside } from "../state/latest_numbers";

const MAX_SHOWN = 12;

type Agreement = "least" | "most";

const AGREEMENTS = [
  { key: "least", text: "least" },
  { key: "most", text: "most" },
];

export class Samples {
  readonly element = html("section", "samples");
  #list = html("ol", "chips");
  #count = html("p", "below");
  #chips: Chip[] = [];
  #agreement: Agreement = "least";
  #segments: Segments;
  #inside: DecodedInside | undefined;
  #fresh = new ChangeDetector();
  #freshSegments = new ChangeDetector();

  constructor() {
    this.#segments = new Segments("Samples they agree on", (side) => {
      this.#agreement = side as Agreement;
      this.#draw();
    });
    this.#list.setAttribute("role", "list");
    const head = html("div", "head", html("h4", "", "Samples they agree on"), this.#segments.element);
    this.element.append(head, this.#list, this.#count);
  }

  show(inside: DecodedInside): void {
    this.#inside = inside;
    this.#draw();
  }

  #draw(): void {
    const [inside, side] = [this.#inside, this.#agreement];
    if (!inside || !this.#fresh.differs(inside, side)) return;
    if (this.#freshSegments.differs(side)) this.#segments.show(AGREEMENTS, side);
    setAttribute(this.#list, "aria-label", `Samples they agree on ${side}, with the cosine of their Gram rows`);
    const shown = inside[side].slice(0, MAX_SHOWN);
    while (this.#chips.length < shown.length) this.#list.append(this.#chip().element);
    for (const { element } of this.#chips.splice(shown.length)) element.remove();
    shown.forEach((sample, k) => this.#chips[k]?.show(sample, thumbnailOf(inside, side, k)));
    setClass(this.element, "pictured", inside.thumbnail !== null && inside.thumbnails.length > 0);
    setText(this.#count, `of ${inside.n_compared.toLocaleString("en")} samples since this pair was held`);
  }

  #chip(): Chip {
    const chip = new Chip();
    this.#chips.push(chip);
    return chip;
  }
}

interface Thumbnail {
  height: number;
  width: number;
  channels: number;
  bytes: Uint8Array;
}

class Chip {
  readonly element = html("li", "chip");
  #canvas: HTMLCanvasElement | undefined;
  #value = html("strong");
  #index = html("span", "index");
  #label = html("span", "label");
  #painted = "";

  constructor() {
    this.element.append(this.#value, this.#index, this.#label);
  }

  show({ index, label, value }: Sample, thumbnail: Thumbnail | undefined): void {
    setText(this.#value, value.toFixed(2).replace("-", "−"));
    setText(this.#index, `#${index}`);
    setText(this.#label, label === null ? "" : `label ${label}`);
    setHidden(this.#label, label === null);
    this.#paint(thumbnail, `Sample ${index}${label === null ? "" : `, label ${label}`}`);
  }

  #paint(thumbnail: Thumbnail | undefined, name: string): void {
    if (!thumbnail) {
      this.#canvas?.remove();
      this.#canvas = undefined;
      return;
    }
    if (!this.#canvas) {
      this.#canvas = html("canvas");
      this.#canvas.setAttribute("role", "img");
      this.#painted = "";
      this.element.prepend(this.#canvas);
    }
    const { height, width, bytes } = thumbnail;
    // a sample that keeps its place in the list is painted only once
    const key = `${name} ${width} ${height} ${checksum(bytes)}`;
    if (key === this.#painted) return;
    this.#painted = key;
    this.#canvas.setAttribute("aria-label", name);
    this.#canvas.width = width;
    this.#canvas.height = height;
    this.#canvas.getContext("2d")?.putImageData(new ImageData(rgbaOf(thumbnail), width, height), 0, 0);
  }
}

/** The thumbnail of the k-th sample of a list. In the buffer, the thumbnails of `most` follow those of `least`. */
export function thumbnailOf(
  { thumbnail, thumbnails, least }: DecodedInside,
  side: Agreement,
  k: number,
): Thumbnail | undefined {
  if (!thumbnail) return undefined;
  const [height, width, channels] = thumbnail;
  const length = height * width * channels;
  const from = length * (side === "least" ? k : least.length + k);
  const bytes = thumbnails.subarray(from, from + length);
  return length > 0 && bytes.length === length ? { height, width, channels, bytes } : undefined;
}

/** RGBA pixels of a thumbnail with one channel (grey), two (grey, alpha), three (RGB) or four (RGBA). */
export function rgbaOf({ channels, bytes }: Thumbnail): Uint8ClampedArray<ArrayBuffer> {
  const data = new Uint8ClampedArray((4 * bytes.length) / channels);
  const grey = channels < 3;
  for (let k = 0; 4 * k < data.length; k++) {
    for (let c = 0; c < 3; c++) data[4 * k + c] = bytes[channels * k + (grey ? 0 : c)] ?? 0;
    data[4 * k + 3] = channels % 2 ? 255 : (bytes[channels * k + channels - 1] ?? 255);
  }
  return data;
}

function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes) sum = (Math.imul(sum, 31) + byte) | 0;
  return sum;
}
