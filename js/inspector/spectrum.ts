/** The spectra of the two held layers' Gram matrices: eigenvalues, the largest first, on a logarithmic axis. */

import { scaleLinear, scaleLog } from "d3-scale";
import { linePath, tickText } from "../parts/chart";
import { html, svg } from "../parts/dom";
import { ChangeDetector, setAttribute, setText } from "../parts/dom_updates";
import { TextWidths } from "../parts/text";
import type { DecodedInside } from "../state/latest_numbers";
import { sideMark } from "./pair_names";

const [MIN_HEIGHT, MAX_HEIGHT, TOP, BOTTOM] = [112, 190, 8, 20];
/**
 * The least share of the sum of eigenvalues that is drawn. Smaller eigenvalues are rounding errors of a matrix of lower
 * rank, and would stretch the axis.
 */
const MIN_SHARE = 1e-4;
/** The least distance of two ticks, in pixels. */
const TICK_PITCH = 16;
const TENS = [1e-4, 1e-3, 1e-2, 1e-1, 1];
const TICK_VALUES = [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];

export class Spectrum {
  readonly element = html("section", "spectrum");
  #svg = svg("svg", { role: "img" });
  #dimensions = [html("strong"), html("strong")] as const;
  #texts = new TextWidths();
  #fresh = new ChangeDetector();

  constructor() {
    const dimension = html("p", "dimension", "effective dimension ");
    const [x, y] = this.#dimensions;
    dimension.append(sideMark("x"), x, " / ", sideMark("y"), y);
    dimension.title = "How many directions share the variance evenly: (Σλ)² / Σλ²";
    const head = html("div", "head", html("h4", "", "Spectrum"), html("span", "about", "share of variance, log"));
    this.element.append(head, dimension, this.#svg);
  }

  /** Draw the spectra. `beside` is the height of the section beside this one, 0 if there is none. */
  show(inside: DecodedInside, beside: number): void {
    const width = Math.max(160, this.element.clientWidth || 280);
    const height = Math.max(MIN_HEIGHT, Math.min(MAX_HEIGHT, beside - 50));
    if (!this.#fresh.differs(inside, width, height)) return;
    const dimensions = [inside.dimension_x, inside.dimension_y].map((one) => one?.toFixed(1) ?? "n/a");
    this.#dimensions.forEach((element, k) => setText(element, dimensions[k] ?? ""));
    const spectra = [inside.spectrum_x, inside.spectrum_y];
    const count = Math.max(2, ...spectra.map((one) => one.length));
    const { ends, ticks } = sharesOf(spectra.flat(), (height - BOTTOM - TOP) / TICK_PITCH);
    const left = Math.max(...ticks.map((tick) => this.#texts.width(percent(tick)))) + 8;
    const right = width - 4;
    const x = scaleLinear([1, count], [left, right]);
    const y = scaleLog(ends, [height - BOTTOM, TOP]).clamp(true);
    const marks: SVGElement[] = [];
    for (const tick of ticks) {
      marks.push(svg("line", { class: "grid", x1: left, x2: right, y1: y(tick), y2: y(tick) }));
      marks.push(svg("text", { class: "tick", x: left - 7, y: y(tick) + 4 }, percent(tick)));
    }
    marks.push(svg("text", { class: "from", x: left, y: height - 4 }, "eigenvalue 1"));
    marks.push(svg("text", { class: "to", x: right, y: height - 4 }, String(count)));
    spectra.forEach((shares, k) => {
      const points = shares.flatMap((share, rank): [number, number][] =>
        share >= MIN_SHARE ? [[x(rank + 1), y(share)]] : [],
      );
      marks.push(svg("path", { class: `value ${k ? "y" : "x"}`, d: linePath(points) }));
    });
    [inside.dimension_x, inside.dimension_y].forEach((dimension, k) => {
      if (dimension === null || dimension > count) return;
      const at = `M${x(dimension)} ${height - BOTTOM - 6}l3.5 6h-7z`;
      marks.push(svg("path", { class: `dimension ${k ? "y" : "x"}`, d: at }));
    });
    setAttribute(this.#svg, "viewBox", `0 0 ${width} ${height}`);
    setAttribute(this.#svg, "height", String(height));
    const first = spectra.map((one) => `${(100 * (one[0] ?? 0)).toFixed(1)}%`);
    setAttribute(
      this.#svg,
      "aria-label",
      `Spectra: the first eigenvalues hold ${first.join(" and ")} of the variance; ` +
        `effective dimensions ${dimensions.join(" and ")}, of ${count} eigenvalues`,
    );
    this.#svg.replaceChildren(...marks);
  }
}

/**
 * The ends and the ticks of a logarithmic axis for some shares. The ends are 1, 2 or 5 times a power of ten. The ticks
 * are both ends; the powers of ten between them; and 2 and 5 times these, as far as there is room for `most` ticks.
 */
export function sharesOf(shares: number[], most: number): { ends: [number, number]; ticks: number[] } {
  const known = shares.filter((share) => share >= MIN_SHARE);
  const [low, high] = known.length ? [Math.min(...known), Math.max(...known)] : [0.01, 1];
  const above = TICK_VALUES.findIndex((one) => one >= high);
  const last = above < 0 ? TICK_VALUES.length - 1 : Math.max(1, above);
  const first = Math.min(last - 1, TICK_VALUES.filter((one) => one <= low).length - 1);
  const steps = TICK_VALUES.slice(Math.max(0, first), last + 1);
  const ends: [number, number] = [steps[0] ?? MIN_SHARE, steps.at(-1) ?? 1];
  const least = Math.log10(ends[1] / ends[0]) / most;
  const ticks: number[] = [...ends];
  for (const step of [...steps.filter((one) => TENS.includes(one)), ...steps]) {
    if (ticks.every((one) => Math.abs(Math.log10(one / step)) >= least)) ticks.push(step);
  }
  return { ends, ticks: ticks.sort((a, b) => a - b) };
}

function percent(share: number): string {
  return `${tickText(100 * share)}%`;
}
