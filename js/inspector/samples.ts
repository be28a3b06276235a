/** The samples on which the held layers agree least or most. */

import { part } from "../parts/dom";
import { flag, Fresh, hide, mark, say } from "../parts/fresh";
import { Segments } from "../parts/segments";
import type { Sample } from "../state/model";
import type { ToldInside } from "../state/store";

const MOST_SHOWN = 12;

type Side = "least" | "most";

const SIDES = [
  { key: "least", text: "least" },
  { key: "most", text: "most" },
];

export class Samples {
  readonly element = part("section", "samples");
  #list = part("ol", "chips");
  #of = part("p", "below");
  #chips: Chip[] = [];
  #side: Side = "least";
  #segments: Segments;
  #inside: ToldInside | undefined;
  #fresh = new Fresh();
  #chosen = new Fresh();

  constructor() {
    this.#segments = new Segments("Samples they agree on", (side) => {
      this.#side = side as Side;
      this.#draw();
    });
    this.#list.setAttribute("role", "list");
    const head = part("div", "head", part("h4", "", "Samples they agree on"), this.#segments.element);
    this.element.append(head, this.#list, this.#of);
  }

  show(inside: ToldInside): void {
    this.#inside = inside;
    this.#draw();
  }

  #draw(): void {
    const [inside, side] = [this.#inside, this.#side];
    if (!inside || !this.#fresh.differs(inside, side)) return;
    if (this.#chosen.differs(side)) this.#segments.show(SIDES, side);
    mark(this.#list, "aria-label", `Samples they agree on ${side}, with the cosine of their Gram rows`);
    const shown = inside[side].slice(0, MOST_SHOWN);
    while (this.#chips.length < shown.length) this.#list.append(this.#chip().element);
    for (const { element } of this.#chips.splice(shown.length)) element.remove();
    shown.forEach((sample, k) => this.#chips[k]?.show(sample, pictureOf(inside, side, k)));
    flag(this.element, "pictured", inside.thumbnail !== null && inside.thumbnails.length > 0);
    say(this.#of, `of ${inside.n_compared.toLocaleString("en")} samples since this pair was held`);
  }

  #chip(): Chip {
    const chip = new Chip();
    this.#chips.push(chip);
    return chip;
  }
}

interface Picture {
  height: number;
  width: number;
  channels: number;
  bytes: Uint8Array;
}

class Chip {
  readonly element = part("li", "chip");
  #canvas: HTMLCanvasElement | undefined;
  #value = part("strong");
  #index = part("span", "index");
  #label = part("span", "label");
  #painted = "";

  constructor() {
    this.element.append(this.#value, this.#index, this.#label);
  }

  show({ index, label, value }: Sample, picture: Picture | undefined): void {
    say(this.#value, value.toFixed(2).replace("-", "−"));
    say(this.#index, `#${index}`);
    say(this.#label, label === null ? "" : `label ${label}`);
    hide(this.#label, label === null);
    this.#paint(picture, `Sample ${index}${label === null ? "" : `, label ${label}`}`);
  }

  #paint(picture: Picture | undefined, name: string): void {
    if (!picture) {
      this.#canvas?.remove();
      this.#canvas = undefined;
      return;
    }
    if (!this.#canvas) {
      this.#canvas = part("canvas");
      this.#canvas.setAttribute("role", "img");
      this.#painted = "";
      this.element.prepend(this.#canvas);
    }
    const { height, width, bytes } = picture;
    // a sample keeps its place in the list for many frames
    const key = `${name} ${width} ${height} ${checksum(bytes)}`;
    if (key === this.#painted) return;
    this.#painted = key;
    this.#canvas.setAttribute("aria-label", name);
    this.#canvas.width = width;
    this.#canvas.height = height;
    this.#canvas.getContext("2d")?.putImageData(new ImageData(rgbaOf(picture), width, height), 0, 0);
  }
}

/** The thumbnail of one sample; the most agreed ones follow the least agreed. */
export function pictureOf({ thumbnail, thumbnails, least }: ToldInside, side: Side, k: number): Picture | undefined {
  if (!thumbnail) return undefined;
  const [height, width, channels] = thumbnail;
  const length = height * width * channels;
  const from = length * (side === "least" ? k : least.length + k);
  const bytes = thumbnails.subarray(from, from + length);
  return length > 0 && bytes.length === length ? { height, width, channels, bytes } : undefined;
}

/** Pixels of a picture with one channel (grey), two (grey, alpha), three (colours) or four. */
export function rgbaOf({ channels, bytes }: Picture): Uint8ClampedArray<ArrayBuffer> {
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
