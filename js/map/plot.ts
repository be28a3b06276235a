/** The map: cells on a canvas, and lines and letters over them. It draws, and tells what is at a point. */

import { part } from "../parts/dom";
import { LABEL_PITCH, Measure } from "../parts/text";
import type { Selection } from "../state/model";
import { labelsOf, type Label } from "./labels";
import {
  bracketAt,
  COLUMN_PITCH,
  columnLabelAt,
  layoutOf,
  placeAt,
  rowLabelAt,
  type Layout,
  type Place,
} from "./layout";
import { bestOf, profileOf } from "./matches";
import { Overlay, type Profile } from "./overlay";
import { coloured, Raster, unsettled } from "./raster";
import type { Handle, Picture } from "./scene";
import { standsAt } from "./side";
import { Viewport } from "./viewport";

export class Plot {
  readonly element = part("div", "stage");
  readonly port = new Viewport();
  /** whether `place` is where the keyboard is */
  focused = false;
  #cells = part("canvas", "cells");
  #hatch = part("canvas", "hatch");
  #measure = new Measure();
  #overlay = new Overlay(this.#measure);
  #raster = new Raster();
  #mask = new Raster();
  #picture: Picture | undefined;
  #place: Place | undefined;
  #layout: Layout | undefined;
  #rowLabels: Label[] = [];
  #columnLabels: Label[] = [];
  #unsettled = 0;
  #best: { of: readonly unknown[]; columns: number[] } | undefined;

  constructor() {
    this.element.append(this.#cells, this.#hatch, this.#overlay.element);
  }

  get picture(): Picture | undefined {
    return this.#picture;
  }

  get layout(): Layout | undefined {
    return this.#layout;
  }

  /** The number of rows and columns. */
  get shape(): [number, number] {
    return [this.#picture?.x.entries.length ?? 0, this.#picture?.y.entries.length ?? 0];
  }

  /** How many cells are hatched, since their error exceeds the threshold. */
  get unsettled(): number {
    return this.#unsettled;
  }

  /** The cell or head that is pointed at. */
  get place(): Place | undefined {
    return this.#place;
  }

  set place(place: Place | undefined) {
    this.#place = place;
  }

  show(picture: Picture): void {
    this.#picture = picture;
    const [rows, columns] = this.shape;
    this.port.resize(rows, columns);
    if (this.#place && (this.#place.row >= rows || this.#place.column >= columns)) this.#place = undefined;
    this.draw();
  }

  /** The layers of a cell. */
  pair(place: Place | undefined): Selection | undefined {
    if (!place || !this.#picture) return undefined;
    const { x, y } = this.#picture;
    const [row, column] = [x.entries[place.row], y.entries[place.column]];
    if (!row || !column) return undefined;
    return {
      model_x: x.model,
      layer_x: x.layers[row.index] ?? "",
      model_y: y.model,
      layer_y: y.layers[column.index] ?? "",
    };
  }

  /** Where a pair stands in this view, seen from either side; in a folded block if that hides it. */
  placeOf(pair: Selection | null): Place | undefined {
    const picture = this.#picture;
    if (!picture || !pair) return undefined;
    const find = (modelX: string, layerX: string, modelY: string, layerY: string): Place | undefined => {
      if (modelX !== picture.x.model || modelY !== picture.y.model) return undefined;
      const [row, column] = [standsAt(picture.x, layerX), standsAt(picture.y, layerY)];
      return row >= 0 && column >= 0 ? { row, column } : undefined;
    };
    return (
      find(pair.model_x, pair.layer_x, pair.model_y, pair.layer_y) ??
      find(pair.model_y, pair.layer_y, pair.model_x, pair.layer_x)
    );
  }

  at(x: number, y: number): Place | undefined {
    return this.#layout && this.#picture ? placeAt(this.#layout, this.port.window, x, y) : undefined;
  }

  /** The block that a click at a point opens or folds. */
  handleAt(x: number, y: number): Handle | undefined {
    const [layout, picture] = [this.#layout, this.#picture];
    if (!layout || !picture) return undefined;
    const { window } = this.port;
    const rowLabel = rowLabelAt(layout, this.#rowLabels, x, y);
    if (rowLabel?.block && y > layout.top) return { side: "x", path: rowLabel.block.path };
    const columnLabel = columnLabelAt(layout, this.#columnLabels, x, y);
    if (columnLabel?.block) return { side: "y", path: columnLabel.block.path };
    const down = window.y0 + ((y - layout.top) / layout.height) * (window.y1 - window.y0);
    const across = window.x0 + ((x - layout.left) / layout.width) * (window.x1 - window.x0);
    const row = bracketAt(picture.x, layout.left - x, down);
    if (row !== undefined) return { side: "x", path: row };
    const column = bracketAt(picture.y, layout.top - y, across);
    return column === undefined ? undefined : { side: "y", path: column };
  }

  draw(): void {
    const [width, height] = [this.element.clientWidth, this.element.clientHeight];
    const picture = this.#picture;
    if (!width || !height || !picture) return;
    const layout = (this.#layout = layoutOf(this.#measure, picture.x, picture.y, width, height));
    this.#cells.dataset.frame = [layout.left, layout.top, layout.width, layout.height].join(" ");
    this.#cells.dataset.window = Object.values(this.port.window).join(" ");
    const pen = prepared(this.#cells, width, height);
    const ink = getComputedStyle(this.element).color;
    if (pen) this.#paint(pen, picture, layout, ink);
    this.#paintHatch(picture, layout, width, height);
    this.#drawOver(picture, layout);
  }

  #paint(pen: CanvasRenderingContext2D, picture: Picture, layout: Layout, ink: string): void {
    const { x, y, steps, colours, cells } = picture;
    if (!cells || !x.entries.length || !y.entries.length) return ground(pen, layout, ink, picture.waiting);
    if (this.#raster.stale(x, y, steps, colours)) {
      this.#raster.paint(y.entries.length, x.entries.length, coloured(x, y, steps, colours));
    }
    lines(pen, layout, ink, 0.28);
    this.#stretch(pen, this.#raster.canvas, layout);
  }

  /** Lines over the cells that are not sure yet. */
  #paintHatch({ x, y, cells, threshold }: Picture, layout: Layout, width: number, height: number): void {
    if (this.#mask.stale(x, y, cells?.stderr, cells?.values, threshold)) {
      this.#unsettled = 0;
      if (cells && threshold !== undefined) {
        const [words, count] = unsettled(x, y, cells, threshold);
        this.#unsettled = count;
        this.#mask.paint(y.entries.length, x.entries.length, words);
      }
    }
    const pen = prepared(this.#hatch, width, height);
    if (!pen || !cells || !this.#unsettled) return;
    lines(pen, layout, "#000", 0.34, 1.5);
    lines(pen, layout, "#fff", 0.5, 0.7);
    pen.globalCompositeOperation = "destination-in";
    this.#stretch(pen, this.#mask.canvas, layout);
    pen.globalCompositeOperation = "source-over";
  }

  /** The seen part of a picture of one pixel a cell, over the whole frame. */
  #stretch(pen: CanvasRenderingContext2D, picture: HTMLCanvasElement, { left, top, width, height }: Layout): void {
    const { x0, x1, y0, y1 } = this.port.window;
    pen.imageSmoothingEnabled = false;
    pen.drawImage(picture, x0, y0, x1 - x0, y1 - y0, left, top, width, height);
  }

  /** Found again only when the numbers or the sides have changed. */
  #bestOf(picture: Picture): number[] {
    const of = [picture.x, picture.y, picture.cells?.values];
    if (!this.#best || of.some((one, i) => one !== this.#best?.of[i])) this.#best = { of, columns: bestOf(picture) };
    return this.#best.columns;
  }

  #drawOver(picture: Picture, layout: Layout): void {
    const { x, y, cells } = picture;
    const { window } = this.port;
    const held = this.placeOf(picture.held);
    const place = this.#place;
    const strong = (side: "row" | "column") =>
      [place?.[side], held?.[side]].filter((one): one is number => one !== undefined && one >= 0);
    this.#rowLabels = labelsOf(x, window.y0, window.y1, layout.height, strong("row"), LABEL_PITCH);
    this.#columnLabels = labelsOf(y, window.x0, window.x1, layout.width, strong("column"), COLUMN_PITCH);
    const [below, beside]: [Profile[], Profile[]] = [[], []];
    for (const [kind, at] of [["pointed", place] as const, ["held", held] as const]) {
      if (!at || !cells) continue;
      if (at.row >= 0) below.push({ kind, ...profileOf(picture, at.row, "row") });
      if (at.column >= 0) beside.push({ kind, ...profileOf(picture, at.column, "column") });
    }
    this.#overlay.draw({
      x,
      y,
      layout,
      window,
      rowLabels: this.#rowLabels,
      columnLabels: this.#columnLabels,
      held,
      pointed: place,
      focused: this.focused,
      pinned: picture.pinned.map((pair) => this.placeOf(pair)),
      best: picture.best && cells ? this.#bestOf(picture) : undefined,
      below,
      beside,
      limits: picture.colours.limits,
    });
  }
}

function prepared(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D | null {
  const ratio = window.devicePixelRatio || 1;
  const size = [Math.round(width * ratio), Math.round(height * ratio)] as const;
  if (canvas.width !== size[0]) canvas.width = size[0];
  if (canvas.height !== size[1]) canvas.height = size[1];
  const pen = canvas.getContext("2d");
  pen?.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen?.clearRect(0, 0, width, height);
  return pen;
}

/** The ground of a map without numbers. */
function ground(pen: CanvasRenderingContext2D, frame: Layout, ink: string, text: string): void {
  const { left, top, width, height } = frame;
  pen.fillStyle = ink;
  pen.globalAlpha = 0.1;
  pen.fillRect(left, top, width, height);
  pen.globalAlpha = 0.75;
  pen.font = "13px ui-sans-serif, system-ui, sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText(text, left + width / 2, top + height / 2, width - 16);
  pen.globalAlpha = 1;
}

/** Slanted lines over the frame. */
function lines(pen: CanvasRenderingContext2D, frame: Layout, ink: string, alpha: number, wide = 1): void {
  const { left, top, width, height } = frame;
  pen.save();
  pen.beginPath();
  pen.rect(left, top, width, height);
  pen.clip();
  pen.beginPath();
  pen.strokeStyle = ink;
  pen.globalAlpha = alpha;
  pen.lineWidth = wide;
  for (let x = left - height; x < left + width; x += 6) {
    pen.moveTo(x, top + height);
    pen.lineTo(x + height, top);
  }
  pen.stroke();
  pen.restore();
}
