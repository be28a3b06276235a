/** The colours' legend: how many cells have each colour, what the ends mean, and three settings. */

import { drawn, part } from "./dom";
import type { Scale } from "./model";
import { gradient, histogram, rangeOf, type Colouring } from "./palette";
import { Segments } from "./segments";
import type { Cells } from "./snapshot";

const BINS = 48;
const [WIDTH, HEIGHT] = [192, 22];

export class Legend {
  readonly element = part("div", "legend");
  #bars = drawn("svg", { viewBox: `0 0 ${BINS} ${HEIGHT}`, preserveAspectRatio: "none", class: "histogram" });
  #path = drawn("path", { class: "bars" });
  #strip = part("div", "strip");
  #ticks = part("div", "ticks");
  #settings: Segments;
  #cells: Cells | undefined;

  constructor(choose: (scale: Scale) => void, scale: () => Scale) {
    this.#bars.append(this.#path);
    this.#bars.setAttribute("aria-hidden", "true");
    const map = part("div", "colours", this.#bars, this.#strip, this.#ticks);
    map.style.width = `${WIDTH}px`;
    this.#settings = new Segments("Colour scale", (mode) => {
      const limits = { ...scale().limits };
      const range = this.#cells && rangeOf(this.#cells.values, this.#cells.about);
      if (mode === "range" && this.#cells && range) limits[this.#cells.about.name] = range;
      choose({ mode: mode as Scale["mode"], limits });
    });
    this.element.append(map, this.#settings.element);
  }

  show(cells: Cells | undefined, steps: Int16Array, colours: Colouring, scale: Scale): void {
    this.#cells = cells;
    this.#strip.style.background = gradient(colours);
    this.#ticks.replaceChildren(
      ...colours.ticks.map(({ at, text }) => {
        const tick = part("span", "", text);
        tick.style.left = `${100 * at}%`;
        return tick;
      }),
    );
    const counts = cells ? histogram(steps, BINS) : [];
    // square roots, so that a few cells far from the crowd are seen
    const most = Math.sqrt(Math.max(1, ...counts));
    const bars = counts.map((count, i) => {
      const tall = ((Math.sqrt(count) / most) * (HEIGHT - 1)).toFixed(2);
      return `M${i} ${HEIGHT}v-${tall}h0.9v${tall}z`;
    });
    this.#path.setAttribute("d", bars.join(""));
    const diverging = cells?.about.kind === "difference";
    this.#settings.show(
      [
        { key: "unit", text: diverging ? "−1 to 1" : "0 to 1", hint: "The usual limits" },
        { key: "range", text: "this range", hint: "Freeze the present range of the values" },
        { key: "log", text: "log(1 − s)", hint: "Spread the crowded top", disabled: diverging },
      ],
      scale.mode === "log" && diverging ? "unit" : scale.mode,
    );
  }
}
