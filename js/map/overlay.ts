/**
 * The SVG over and around the cells: labels, brackets, outlines of cells, the line of best matches, and at two edges
 * the profiles (the values of a row or a column as a line).
 */

import { linePath } from "../parts/chart";
import { svg } from "../parts/dom";
import type { TextWidths } from "../parts/text";
import { type Label, nameParts } from "./labels";
import { bracketLevels, bracketOffset, GAP, type Layout, type Place, PROFILE, TILT } from "./layout";
import type { Side } from "./side";
import type { VisibleCells } from "./viewport";

/** The least length of a bracket in pixels; shorter brackets would look like dots and are left out. */
const MIN_BRACKET = 7;

/** The values of one row or column; NaN where a value is missing. */
export interface Profile {
  values: number[];
  /** the position of the best match; -1 if there is none */
  best: number;
  kind: "held" | "pointed";
}

export interface OverlayContent {
  x: Side;
  y: Side;
  layout: Layout;
  visible: VisibleCells;
  rowLabels: Label[];
  columnLabels: Label[];
  held: Place | undefined;
  pointed: Place | undefined;
  /** whether `pointed` is the keyboard's cell; otherwise it is the pointer's */
  focused: boolean;
  pinned: (Place | undefined)[];
  /** for each row its most similar column, or -1; undefined if the line of best matches is not drawn */
  best: number[] | undefined;
  /** profiles of rows, drawn below the cells */
  below: Profile[];
  /** profiles of columns, drawn to the right of the cells */
  beside: Profile[];
  /** the values at the ends of the profiles */
  limits: [number, number];
}

export class Overlay {
  readonly element = svg("svg", { class: "overlay", "aria-hidden": "true" });
  #texts: TextWidths;

  constructor(measure: TextWidths) {
    this.#texts = measure;
  }

  draw(content: OverlayContent): void {
    this.element.replaceChildren(
      this.#onCells(content),
      ...this.#brackets(content),
      ...this.#labels(content),
      ...this.#modelNames(content),
      ...profiles(content),
    );
  }

  /** The marks on the cells (line of best matches, outlines), clipped to the area of the cells. */
  #onCells(content: OverlayContent): SVGElement {
    const { left: x, top: y, width, height } = content.layout;
    const box = svg("svg", { x, y, width, height, class: "over" });
    const { held, pointed: pointed, focused, best } = content;
    if (best) box.append(...bestLine(content, best));
    if (held) box.append(...rowAndColumn(content, held));
    content.pinned.forEach((place, k) => place && box.append(...outline(content, place, `pin pin${k}`, 2)));
    if (held) box.append(...outline(content, held, "held", 3));
    if (pointed)
      box.append(...(focused ? focusRing(content, pointed) : []), ...outline(content, pointed, "pointed", 1.5));
    return box;
  }

  #labels({ layout, rowLabels, columnLabels, pointed: pointed, held, focused }: OverlayContent): SVGElement[] {
    const strong = (label: Label, side: "row" | "column") =>
      label.position !== undefined && (label.position === pointed?.[side] || label.position === held?.[side]);
    const head = (label: Label, side: "row" | "column") => {
      const other = side === "row" ? "column" : "row";
      return focused && label.position !== undefined && label.position === pointed?.[side] && pointed[other] < 0;
    };
    const rows = rowLabels.map((label) => {
      const at = { x: layout.left - layout.rowGutter - 5, y: layout.top + label.at, "text-anchor": "end" };
      return this.#labelText(label, at, layout.rowRoom, strong(label, "row"), head(label, "row"));
    });
    const columns = columnLabels.map((label) => {
      const [x, y] = [layout.left + label.at, layout.top - layout.columnGutter - 4];
      const at = { x, y, transform: `rotate(${(-TILT * 180) / Math.PI} ${x} ${y})` };
      return this.#labelText(label, at, layout.columnRoom, strong(label, "column"), head(label, "column"));
    });
    return [...rows, ...columns];
  }

  #labelText(
    { name, block, position }: Label,
    at: Record<string, string | number>,
    room: number,
    strong: boolean,
    head: boolean,
  ): SVGElement {
    const sign = block ? (block.folded ? "▸ " : "▾ ") : "";
    const kind = ["label", strong && "strong", head && "focused", position === undefined && "block"];
    const text = svg("text", { ...at, dy: "0.36em", class: kind.filter(Boolean).join(" ") });
    const left = room - (sign ? this.#texts.width(sign, strong) : 0);
    const [where, what] = nameParts(name);
    if (sign) text.append(svg("tspan", { class: "sign" }, sign));
    const own = this.#texts.width(what, strong);
    if (!where || own + 24 > left) text.append(this.#texts.cut(name, left, strong));
    else text.append(svg("tspan", { class: "prefix" }, this.#texts.cut(where, left - own, strong, "last")), what);
    text.append(svg("title", {}, name));
    return text;
  }

  #modelNames({ x, y, layout }: OverlayContent): SVGElement[] {
    const room = layout.left - 8;
    const text = (model: string, arrow: string, at: number) =>
      svg(
        "text",
        { x: 2, y: at, class: "axis-name" },
        `${this.#texts.cut(model, room - this.#texts.width(` ${arrow}`, true), true)} ${arrow}`,
      );
    return [text(x.model, "↓", 12), text(y.model, "→", 27)];
  }

  #brackets({ x, y, layout, visible }: OverlayContent): SVGElement[] {
    const [{ left, top, width, height }, { x0, x1, y0, y1 }] = [layout, visible];
    const made = (
      side: Side,
      from: number,
      to: number,
      length: number,
      path: (a: number, b: number, off: number) => string,
    ) => {
      const levels = bracketLevels(side.brackets);
      const pixel = (cell: number) => (Math.min(Math.max(cell, from), to) - from) * (length / (to - from));
      return side.brackets
        .filter(({ depth, first, last }) => levels.includes(depth) && last + 1 > from && first < to)
        .filter(({ first, last }) => pixel(last + 1) - pixel(first) >= MIN_BRACKET)
        .map(({ path: name, depth, first, last }) => {
          const mark = svg("path", {
            class: "bracket",
            d: path(pixel(first) + 1, pixel(last + 1) - 1, bracketOffset(levels, depth)),
          });
          mark.append(svg("title", {}, name));
          return mark;
        });
    };
    return [
      ...made(x, y0, y1, height, (a, b, off) => `M${left - off + 3} ${top + a}h-3V${top + b}h3`),
      ...made(y, x0, x1, width, (a, b, off) => `M${left + a} ${top - off + 3}v-3H${left + b}v3`),
    ];
  }
}

/** The box of a cell, relative to the area of the cells; for a header the box of its whole row or column. */
function boxOf({ layout, visible, x, y }: OverlayContent, { row, column }: Place): Record<string, number> {
  const [wide, tall] = [layout.width / (visible.x1 - visible.x0), layout.height / (visible.y1 - visible.y0)];
  const [x0, columns] = column < 0 ? [0, y.entries.length] : [column, 1];
  const [y0, rows] = row < 0 ? [0, x.entries.length] : [row, 1];
  return { x: (x0 - visible.x0) * wide, y: (y0 - visible.y0) * tall, width: columns * wide, height: rows * tall };
}

/** A black and a white outline, visible on any colour. */
function outline(content: OverlayContent, place: Place, kind: string, wide: number): SVGElement[] {
  const { x = 0, y = 0, width = 0, height = 0 } = boxOf(content, place);
  const around = (grow: number) => ({ x: x - grow, y: y - grow, width: width + 2 * grow, height: height + 2 * grow });
  return [
    svg("rect", { ...around(wide), class: `outline ${kind}`, stroke: "#000", "stroke-width": wide / 1.5 }),
    svg("rect", { ...around(wide / 3), class: `outline ${kind}`, stroke: "#fff", "stroke-width": wide / 1.5 }),
  ];
}

function focusRing(content: OverlayContent, place: Place): SVGElement[] {
  const { x = 0, y = 0, width = 0, height = 0 } = boxOf(content, place);
  return [svg("rect", { x: x - 3.5, y: y - 3.5, width: width + 7, height: height + 7, class: "focus" })];
}

/** Thin lines along the row and the column of a cell. */
function rowAndColumn(content: OverlayContent, place: Place): SVGElement[] {
  return [
    { row: place.row, column: -1 },
    { row: -1, column: place.column },
  ].flatMap((one) => {
    const box = boxOf(content, one);
    return [svg("rect", { ...box, class: "band dark" }), svg("rect", { ...box, class: "band light" })];
  });
}

function bestLine({ layout, visible }: OverlayContent, best: number[]): SVGElement[] {
  const [wide, tall] = [layout.width / (visible.x1 - visible.x0), layout.height / (visible.y1 - visible.y0)];
  const d = brokenLine(best, (column, row) => [
    column < 0 ? NaN : (column + 0.5 - visible.x0) * wide,
    (row + 0.5 - visible.y0) * tall,
  ]);
  return [svg("path", { class: "best dark", d }), svg("path", { class: "best light", d })];
}

/** The SVG path of a line through the points of some numbers, interrupted where a number is missing. */
function brokenLine(numbers: number[], point: (one: number, k: number) => [number, number]): string {
  const runs: [number, number][][] = [[]];
  numbers.forEach((one, k) => {
    const at = point(one, k);
    if (at.every(Number.isFinite)) runs.at(-1)?.push(at);
    else if (runs.at(-1)?.length) runs.push([]);
  });
  return runs.map(linePath).join("");
}

/** The profiles, aligned with the cells: rows below the map, columns to its right. */
function profiles({ layout, visible, below, beside, limits }: OverlayContent): SVGElement[] {
  const { left, top, width, height } = layout;
  const [low, high] = limits;
  const share = (value: number) => (Math.min(Math.max(value, low), high) - low) / (high - low);
  const marks: SVGElement[] = [];
  const tick = (value: number) => String(Number(value.toPrecision(2))).replace("-", "−");
  const made = (
    all: Profile[],
    box: Record<string, number>,
    from: number,
    to: number,
    point: (along: number, share: number) => [number, number],
    ends: [SVGElement, SVGElement],
    grid: string,
  ) => {
    if (!all.length) return;
    const inner = svg("svg", { ...box, class: "profile" });
    inner.append(svg("path", { class: "grid", d: grid }));
    for (const { values, best, kind } of all) {
      const at = (k: number): [number, number] => point((k + 0.5 - from) / (to - from), share(values[k] ?? NaN));
      inner.append(svg("path", { class: `line ${kind}`, d: brokenLine(values, (_, k) => at(k)) }));
      if (best >= 0 && kind === "held") {
        const [cx, cy] = at(best);
        inner.append(svg("circle", { class: "match", cx, cy, r: 3 }));
      }
    }
    marks.push(inner, ...ends);
  };
  const [under, right] = [top + height + GAP, left + width + GAP];
  const text = (x: number, y: number, anchor: string, value: number) =>
    svg("text", { x, y, "text-anchor": anchor, class: "tick" }, tick(value));
  made(
    below,
    { x: left, y: under, width, height: PROFILE },
    visible.x0,
    visible.x1,
    (along, up) => [along * width, (1 - up) * (PROFILE - 2) + 1],
    [text(left - 5, under + 8, "end", high), text(left - 5, under + PROFILE + 1, "end", low)],
    `M0 1H${width}M0 ${PROFILE - 1}H${width}`,
  );
  made(
    beside,
    { x: right, y: top, width: PROFILE, height },
    visible.y0,
    visible.y1,
    (along, out) => [out * (PROFILE - 2) + 1, along * height],
    [text(right, under + 4, "start", low), text(right + PROFILE, under + 4, "end", high)],
    `M1 0V${height}M${PROFILE - 1} 0V${height}`,
  );
  return marks;
}
