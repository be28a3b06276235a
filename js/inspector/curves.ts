/** The convergence chart: measures against the number of batches, with bands of one standard error. */

import { scaleLinear } from "d3-scale";
import { axisOf, bandPath, linePath, spreadLabels, tickText } from "../parts/chart";
import { svg } from "../parts/dom";
import { ChangeDetector, setAttribute } from "../parts/dom_updates";
import { LABEL_PITCH, TextWidths } from "../parts/text";
import type { Curve, Kind } from "../state/model";
import { numberTexts } from "../state/display_text";

const [HEIGHT, TOP, BOTTOM] = [128, 10, 20];
const BADGE = 7.5;
/** The number of colours of lines, not counting the held pair's colour. */
const TONES = 4;

export interface Line {
  title: string;
  curve: Curve;
  /** the number of the line's colour, from 1; 0 for the held pair's colour */
  tone: number;
  /** the number in a circle at the line's end; without a badge, the title is written there */
  badge?: string;
  strong?: boolean;
}

interface Point {
  batch: number;
  value: number;
  error: number;
}

export class Curves {
  readonly element = svg("svg", { role: "img", class: "curves" });
  #texts = new TextWidths();
  #fresh = new ChangeDetector();

  /** Draw the lines that have numbers. `expected` is the number of batches of the whole run, if it is known. */
  show(lines: Line[], kind: Kind, expected: number | null, width: number): void {
    const looks = lines.map(({ title, tone, badge, strong }) => `${tone} ${badge} ${strong} ${title}`).join("\n");
    if (!this.#fresh.differs(looks, kind, expected, width, ...lines.map(({ curve }) => curve))) return;
    const known = lines.flatMap((one) => {
      const points = pointsOf(one.curve);
      const end = points.at(-1);
      return end ? [{ ...one, points, end }] : [];
    });
    const all = known.flatMap(({ points }) => points);
    // the first errors are large: the axis has room for the last error of each line, and cuts off earlier bands
    const sure = known.flatMap(({ end: { value, error } }) => [value - (error || 0), value + (error || 0)]);
    const inView = [...all.map(({ value }) => value), ...sure];
    const { ends, ticks } = axisOf(Math.min(...inView), Math.max(...inView), kind);
    const last = Math.max(2, expected ?? 0, ...all.map(({ batch }) => batch));
    const left = Math.max(...ticks.map((tick) => this.#texts.width(tickText(tick)))) + 8;
    const names = known.map(({ title }) => this.#texts.cut(title, width / 3));
    const widths = known.map(({ badge }, k) => (badge ? 2 * BADGE : this.#texts.width(names[k] ?? "")));
    const right = width - Math.max(0, ...widths) - 9;
    const x = scaleLinear([1, last], [left, right]);
    const y = scaleLinear(ends, [HEIGHT - BOTTOM, TOP]).clamp(true);
    const marks: SVGElement[] = [];
    for (const tick of ticks) {
      marks.push(svg("line", { class: "grid", x1: left, x2: right, y1: y(tick), y2: y(tick) }));
      marks.push(svg("text", { class: "tick", x: left - 7, y: y(tick) + 4 }, tickText(tick)));
    }
    marks.push(svg("text", { class: "from", x: left, y: HEIGHT - 4 }, "batch 1"));
    marks.push(svg("text", { class: "to", x: right, y: HEIGHT - 4 }, last.toLocaleString("en")));
    const path = (points: Point[]) => linePath(points.map(({ batch, value }) => [x(batch), y(value)]));
    const band = (points: Point[]) =>
      bandPath(points.map(({ batch, value, error }) => [x(batch), y(value - error), y(value + error)]));
    const heights = spreadLabels(
      known.map(({ end }) => y(end.value)),
      known.some(({ badge }) => badge) ? 2 * BADGE + 2 : LABEL_PITCH,
      [TOP, HEIGHT - BOTTOM],
    );
    const beside = Math.max(...known.map(({ end }) => x(end.batch))) + 8;
    // bands first, so that none covers a line; the strong line last, on top
    const order = [...known.keys()].sort((a, b) => Number(known[a]!.strong ?? 0) - Number(known[b]!.strong ?? 0));
    for (const k of order)
      marks.push(svg("path", { class: `band ${lineClass(known[k]!)}`, d: band(known[k]!.points) }));
    for (const k of order) {
      const { points, end, badge } = known[k]!;
      const [tone, height] = [lineClass(known[k]!), heights[k] ?? 0];
      const [endX, endY] = [x(end.batch), y(end.value)];
      marks.push(svg("path", { class: `value ${tone}`, d: path(points) }));
      marks.push(svg("circle", { class: `end ${tone}`, cx: endX, cy: endY, r: 2.4 }));
      if (Math.abs(height - endY) > 3 || beside - endX > 10) {
        marks.push(svg("path", { class: `leader ${tone}`, d: `M${endX + 3} ${endY}L${beside - 1} ${height}` }));
      }
      if (badge) {
        const inner = svg("text", { x: beside + BADGE, y: height + 3.8 }, badge);
        const group = svg("g", { class: `badge ${tone}` });
        group.append(svg("circle", { cx: beside + BADGE, cy: height, r: BADGE }), inner);
        marks.push(group);
      } else marks.push(svg("text", { class: `name ${tone}`, x: beside, y: height + 4 }, names[k]));
    }
    setAttribute(this.element, "viewBox", `0 0 ${width} ${HEIGHT}`);
    setAttribute(this.element, "height", String(HEIGHT));
    setAttribute(this.element, "aria-label", descriptionOf(known, last));
    this.element.replaceChildren(...marks);
  }
}

/** Whether a curve has any number. */
export function hasValues({ values }: Curve): boolean {
  return values.some((value) => value !== null);
}

/** The points of a curve at those numbers of batches for which it has a value. */
export function pointsOf({ n_batches, values, stderr }: Curve): Point[] {
  const points: Point[] = [];
  n_batches.forEach((batch, k) => {
    const value = values[k] ?? null;
    if (value !== null) points.push({ batch, value, error: stderr[k] ?? NaN });
  });
  return points;
}

function lineClass({ tone, strong }: Line): string {
  const colour = tone && `${((tone - 1) % TONES) + 1}${tone > TONES ? " dashed" : ""}`;
  return `tone${colour}${strong ? " strong" : ""}`;
}

/** The chart in words, for screen readers. */
function descriptionOf(lines: (Line & { end: Point })[], last: number): string {
  const each = lines.map(({ title, badge, end: { value, error } }) => {
    const name = badge && badge !== title ? `${badge}, ${title}` : title;
    return `${name}: ${numberTexts(value, error).join(" ")}`;
  });
  const batch = Math.max(...lines.map(({ end }) => end.batch));
  return `Convergence at batch ${batch} of ${last}. ${each.join("; ")}`;
}
