/** How a pair's numbers came about: lines over batches, with bands of one standard error. */

import { scaleLinear } from "d3-scale";
import { area, line } from "d3-shape";
import { drawn, part } from "./dom";
import type { Curve } from "./model";

const [HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [124, 30, 44, 8, 18];

export interface Line {
  title: string;
  curve: Curve;
}

interface Point {
  batch: number;
  value: number;
  error: number;
}

export class Convergence {
  readonly element = part("div", "convergence");
  #svg = drawn("svg", { role: "img" });

  constructor() {
    this.element.append(part("h4", "", "Convergence"), this.#svg);
  }

  show(lines: Line[], expected: number | null): void {
    const width = Math.max(160, this.element.clientWidth || 280);
    const points = lines.map(({ curve }) => pointsOf(curve));
    const all = points.flat();
    const last = Math.max(2, expected ?? 0, ...all.map(({ batch }) => batch));
    const bottom = Math.min(0, ...all.map(({ value }) => value));
    const x = scaleLinear([1, last], [LEFT, width - RIGHT]);
    const y = scaleLinear([Math.max(-1, bottom), 1], [HEIGHT - BOTTOM, TOP]).clamp(true);
    if (bottom < 0) y.nice(3);
    const marks: SVGElement[] = [];
    for (const tick of y.ticks(3)) {
      marks.push(drawn("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) }));
      marks.push(drawn("text", { class: "tick", x: LEFT - 6, y: y(tick) + 3.5 }, String(tick).replace("-", "−")));
    }
    marks.push(drawn("text", { class: "batch", x: LEFT, y: HEIGHT - 3 }, "batch 1"));
    marks.push(drawn("text", { class: "batch end", x: width - RIGHT, y: HEIGHT - 3 }, last.toLocaleString("en")));
    const heights = apart(points.map((one) => y(one.at(-1)?.value ?? 0)));
    lines.forEach(({ title }, k) => {
      const known = points[k] ?? [];
      const end = known.at(-1);
      if (!end) return;
      const band = area<Point>(
        ({ batch }) => x(batch),
        ({ value, error }) => y(value - error),
        ({ value, error }) => y(value + error),
      ).defined(({ error }) => !Number.isNaN(error));
      const path = line<Point>(
        ({ batch }) => x(batch),
        ({ value }) => y(value),
      );
      marks.push(drawn("path", { class: `band line${k}`, d: band(known) ?? "" }));
      marks.push(drawn("path", { class: `value line${k}`, d: path(known) ?? "" }));
      marks.push(drawn("circle", { class: `end line${k}`, cx: x(end.batch), cy: y(end.value), r: 2.2 }));
      marks.push(drawn("text", { class: `name line${k}`, x: x(end.batch) + 6, y: (heights[k] ?? 0) + 3.5 }, title));
    });
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.#svg.setAttribute("height", String(HEIGHT));
    this.#svg.setAttribute("aria-label", `${lines.map(({ title }) => title).join(" and ")} over ${last} batches`);
    this.#svg.replaceChildren(...marks);
  }
}

export function pointsOf({ n_batches, values, stderr }: Curve): Point[] {
  const points: Point[] = [];
  n_batches.forEach((batch, k) => {
    const value = values[k] ?? null;
    if (value !== null) points.push({ batch, value, error: stderr[k] ?? NaN });
  });
  return points;
}

/** Heights of labels, moved so that they do not touch. */
export function apart(heights: number[], least = 12): number[] {
  const order = heights.map((_, k) => k).sort((a, b) => (heights[a] ?? 0) - (heights[b] ?? 0));
  const moved = [...heights];
  order.forEach((k, rank) => {
    const above = order[rank - 1];
    if (above !== undefined) moved[k] = Math.max(moved[k] ?? 0, (moved[above] ?? 0) + least);
  });
  return moved;
}
