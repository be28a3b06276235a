/**
 * The colour scale: its values, a histogram of the cells above it, and the settings for scale, palette and hatching.
 */

import { html, svg } from "../parts/dom";
import { Segments } from "../parts/segments";
import type { Palette, Scale } from "../state/model";
import { withEntry } from "../state/records";
import { type Colouring, type ColourSource, gradient, histogram, rangeOf } from "./palette";
import type { Scene } from "./scene";

const BINS = 48;
const [WIDTH, HEIGHT] = [150, 16];
const PALETTES: Palette[] = ["magma", "viridis", "cividis"];

export interface ScaleSettings {
  scale(): Scale;
  choose(scale: Scale): void;
  threshold(value: number): void;
}

export class Legend {
  readonly element = html("div", "legend");
  #bars = svg("svg", { viewBox: `0 0 ${BINS} ${HEIGHT}`, preserveAspectRatio: "none", class: "histogram" });
  #path = svg("path", { class: "bars" });
  #strip = html("div", "strip");
  #ticks = html("div", "ticks");
  #modes: Segments;
  #palette = html("select", "palette");
  #threshold = html("input", "threshold");
  #shown: Float32Array | undefined;
  #steps: Int16Array | undefined;
  #colours: Colouring | undefined;
  #source: ColourSource = { name: "", kind: "similarity" };

  constructor(settings: ScaleSettings) {
    this.#bars.append(this.#path);
    this.#bars.setAttribute("aria-hidden", "true");
    const map = html("div", "colours", this.#bars, this.#strip, this.#ticks);
    map.style.width = `${WIDTH}px`;
    this.#modes = new Segments("Colour scale", (mode) => {
      const scale = settings.scale();
      const range = this.#shown && rangeOf(this.#shown, this.#source);
      const limits = mode === "range" && range ? withEntry(scale.limits, this.#source.name, range) : scale.limits;
      settings.choose({ ...scale, mode: mode as Scale["mode"], limits });
    });
    this.#palette.append(...PALETTES.map((name) => new Option(name, name)));
    this.#palette.setAttribute("aria-label", "Palette");
    this.#palette.onchange = () => settings.choose({ ...settings.scale(), palette: this.#palette.value as Palette });
    const input = this.#threshold;
    input.type = "number";
    [input.min, input.step] = ["0", "0.005"];
    input.onchange = () => {
      const value = input.valueAsNumber;
      if (value >= 0) settings.threshold(value);
    };
    const hatched = html("label", "hatched", html("span", "swatch"), "± over", input);
    hatched.title = "Cells with a larger standard error are hatched until they settle";
    this.element.append(map, this.#modes.element, this.#palette, hatched);
  }

  show({ shown, steps, colours, source }: Scene, scale: Scale, threshold: number): void {
    this.#shown = shown;
    this.#source = source;
    if (colours !== this.#colours) this.#draw(colours);
    if (steps !== this.#steps) this.#count(steps);
    // not while the user is typing in the field
    const input = this.#threshold;
    if (document.activeElement !== input) input.value = String(Number(threshold.toPrecision(6)));
    const errors = source.threshold !== undefined;
    const diverging = source.kind === "difference" && !errors;
    const usual = colours.note ? "usual" : `${colours.limits.map((one) => trimmed(one)).join(" to ")}`;
    this.#modes.show(
      [
        {
          key: "unit",
          text: errors || diverging ? (scale.mode === "range" ? "usual" : usual) : "0 to 1",
          hint: "The usual limits",
        },
        { key: "range", text: "this range", hint: "Freeze the present range of the values" },
        { key: "log", text: "log(1 − s)", hint: "Spread the crowded top", disabled: diverging || errors },
      ],
      scale.mode === "log" && (diverging || errors) ? "unit" : scale.mode,
    );
    this.#palette.value = scale.palette;
    this.#palette.disabled = diverging;
  }

  #draw(colours: Colouring): void {
    this.#colours = colours;
    this.#strip.style.background = gradient(colours);
    this.#ticks.replaceChildren(
      ...colours.ticks.map(({ at, text }) => {
        const tick = html("span", "", text);
        tick.style.left = `${100 * at}%`;
        return tick;
      }),
    );
  }

  #count(steps: Int16Array): void {
    this.#steps = steps;
    const counts = histogram(steps, BINS);
    // heights are square roots, so that a few cells far from the others are visible
    const most = Math.sqrt(Math.max(1, ...counts));
    const bars = counts.map((count, i) => {
      const tall = ((Math.sqrt(count) / most) * (HEIGHT - 1)).toFixed(2);
      return `M${i} ${HEIGHT}v-${tall}h0.9v${tall}z`;
    });
    this.#path.setAttribute("d", bars.join(""));
  }
}

function trimmed(value: number): string {
  return String(Number(value.toPrecision(6))).replace("-", "−");
}
