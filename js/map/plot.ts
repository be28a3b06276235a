/** The map: draws a scene (cells on a canvas, with an SVG overlay) and finds which cell or block is at a point. */

import { html } from "../parts/dom";
import { LABEL_PITCH, TextWidths } from "../parts/text";
import type { Selection } from "../state/model";
import { type Label, labelsOf } from "./labels";
import {
  bracketAt,
  COLUMN_PITCH,
  columnLabelAt,
  type Layout,
  layoutOf,
  type Place,
  placeAt,
  rowLabelAt,
} from "./layout";
import { bestMatches, profileOf } from "./best_matches";
import { Overlay, type Profile } from "./overlay";
import { cellPixels, hatchPixels, Raster } from "./raster";
import type { Handle, Scene } from "./scene";
import { blockAt, positionOf } from "./side";
import { Viewport } from "./viewport";

export class Plot {
  readonly element = html("div", "stage");
  readonly viewport = new Viewport();
  /** whether `pointed` is the keyboard's cell; otherwise it is the pointer's */
  focused = false;
  #cellCanvas = html("canvas", "cells");
  #hatchCanvas = html("canvas", "hatch");
  #texts = new TextWidths();
  #overlay = new Overlay(this.#texts);
  #cellRaster = new Raster();
  #hatchRaster = new Raster();
  #scene: Scene | undefined;
  #pointed: Place | undefined;
  #layout: Layout | undefined;
  #rowLabels: Label[] = [];
  #columnLabels: Label[] = [];
  #hatched = 0;
  #best: { of: readonly unknown[]; columns: number[] } | undefined;

  constructor() {
    this.element.append(this.#cellCanvas, this.#hatchCanvas, this.#overlay.element);
  }

  get scene(): Scene | undefined {
    return this.#scene;
  }

  get layout(): Layout | undefined {
    return this.#layout;
  }

  /** The number of rows and columns. */
  get shape(): [number, number] {
    return [this.#scene?.x.entries.length ?? 0, this.#scene?.y.entries.length ?? 0];
  }

  /** How many cells are hatched because their error exceeds the threshold. */
  get hatched(): number {
    return this.#hatched;
  }

  /** The cell or header at which the pointer or the keyboard is. */
  get pointed(): Place | undefined {
    return this.#pointed;
  }

  set pointed(place: Place | undefined) {
    this.#pointed = place;
  }

  show(scene: Scene): void {
    this.#scene = scene;
    const [rows, columns] = this.shape;
    this.viewport.resize(rows, columns);
    if (this.#pointed && (this.#pointed.row >= rows || this.#pointed.column >= columns)) this.#pointed = undefined;
    this.draw();
  }

  /** The pair of layers of a cell; undefined for a header. */
  pairAt(place: Place | undefined): Selection | undefined {
    if (!place || !this.#scene) return undefined;
    const { x, y } = this.#scene;
    const [row, column] = [x.entries[place.row], y.entries[place.column]];
    if (!row || !column) return undefined;
    return {
      model_x: x.model,
      layer_x: x.layers[row.index] ?? "",
      model_y: y.model,
      layer_y: y.layers[column.index] ?? "",
    };
  }

  /**
   * The cell of a pair of layers; where a folded block hides a layer, the cell of the block. If the map has the models
   * of the pair the other way round, the cell with row and column exchanged.
   */
  placeOf(pair: Selection | null): Place | undefined {
    const scene = this.#scene;
    if (!scene || !pair) return undefined;
    const find = (modelX: string, layerX: string, modelY: string, layerY: string): Place | undefined => {
      if (modelX !== scene.x.model || modelY !== scene.y.model) return undefined;
      const [row, column] = [positionOf(scene.x, layerX), positionOf(scene.y, layerY)];
      return row >= 0 && column >= 0 ? { row, column } : undefined;
    };
    return (
      find(pair.model_x, pair.layer_x, pair.model_y, pair.layer_y) ??
      find(pair.model_y, pair.layer_y, pair.model_x, pair.layer_x)
    );
  }

  placeAt(x: number, y: number): Place | undefined {
    return this.#layout && this.#scene ? placeAt(this.#layout, this.viewport.visible, x, y) : undefined;
  }

  /** The block that a click on a label or bracket at a point opens or folds. */
  handleAt(x: number, y: number): Handle | undefined {
    const [layout, scene] = [this.#layout, this.#scene];
    if (!layout || !scene) return undefined;
    const { visible } = this.viewport;
    const rowLabel = rowLabelAt(layout, this.#rowLabels, x, y);
    if (rowLabel?.block && y > layout.top) return { side: "x", path: rowLabel.block.path };
    const columnLabel = columnLabelAt(layout, this.#columnLabels, x, y);
    if (columnLabel?.block) return { side: "y", path: columnLabel.block.path };
    const down = visible.y0 + ((y - layout.top) / layout.height) * (visible.y1 - visible.y0);
    const across = visible.x0 + ((x - layout.left) / layout.width) * (visible.x1 - visible.x0);
    const row = bracketAt(scene.x, layout.left - x, down);
    if (row !== undefined) return { side: "x", path: row };
    const column = bracketAt(scene.y, layout.top - y, across);
    return column === undefined ? undefined : { side: "y", path: column };
  }

  /** The block that the header of a row or a column opens or folds. */
  headerHandle({ row, column }: Place): Handle | undefined {
    if (!this.#scene) return undefined;
    const { x, y } = this.#scene;
    const [side, layers, position] = row < 0 ? (["y", y, column] as const) : (["x", x, row] as const);
    const block = blockAt(layers, position);
    return block && { side, path: block.path };
  }

  draw(): void {
    const [width, height] = [this.element.clientWidth, this.element.clientHeight];
    const scene = this.#scene;
    if (!width || !height || !scene) return;
    const layout = (this.#layout = layoutOf(this.#texts, scene.x, scene.y, width, height));
    this.#cellCanvas.dataset.frame = [layout.left, layout.top, layout.width, layout.height].join(" ");
    this.#cellCanvas.dataset.window = Object.values(this.viewport.visible).join(" ");
    const context = clearedContext(this.#cellCanvas, width, height);
    const ink = getComputedStyle(this.element).color;
    if (context) this.#drawCells(context, scene, layout, ink);
    this.#drawHatch(scene, layout, width, height);
    this.#drawOverlay(scene, layout);
  }

  #drawCells(context: CanvasRenderingContext2D, scene: Scene, layout: Layout, ink: string): void {
    const { x, y, steps, colours, cells } = scene;
    if (!cells || !x.entries.length || !y.entries.length) return drawEmpty(context, layout, ink, scene.emptyText);
    if (this.#cellRaster.changed(x, y, steps, colours)) {
      this.#cellRaster.paint(y.entries.length, x.entries.length, cellPixels(x, y, steps, colours));
    }
    drawHatching(context, layout, ink, 0.28);
    this.#drawRaster(context, this.#cellRaster.canvas, layout);
  }

  /** Hatch the cells whose error exceeds the threshold. */
  #drawHatch({ x, y, cells, threshold }: Scene, layout: Layout, width: number, height: number): void {
    if (this.#hatchRaster.changed(x, y, cells?.stderr, cells?.values, threshold)) {
      this.#hatched = 0;
      if (cells && threshold !== undefined) {
        const [words, count] = hatchPixels(x, y, cells, threshold);
        this.#hatched = count;
        this.#hatchRaster.paint(y.entries.length, x.entries.length, words);
      }
    }
    const context = clearedContext(this.#hatchCanvas, width, height);
    if (!context || !cells || !this.#hatched) return;
    drawHatching(context, layout, "#000", 0.34, 1.5);
    drawHatching(context, layout, "#fff", 0.5, 0.7);
    context.globalCompositeOperation = "destination-in";
    this.#drawRaster(context, this.#hatchRaster.canvas, layout);
    context.globalCompositeOperation = "source-over";
  }

  /** Stretch the visible part of `raster`, an image with one pixel for each cell, over the area of the cells. */
  #drawRaster(
    context: CanvasRenderingContext2D,
    raster: HTMLCanvasElement,
    { left, top, width, height }: Layout,
  ): void {
    const { x0, x1, y0, y1 } = this.viewport.visible;
    context.imageSmoothingEnabled = false;
    context.drawImage(raster, x0, y0, x1 - x0, y1 - y0, left, top, width, height);
  }

  /** The best match of each row, computed again only when the numbers, the rows or the columns have changed. */
  #bestOf(scene: Scene): number[] {
    const of = [scene.x, scene.y, scene.cells?.values];
    if (!this.#best || of.some((one, i) => one !== this.#best?.of[i])) this.#best = { of, columns: bestMatches(scene) };
    return this.#best.columns;
  }

  #drawOverlay(scene: Scene, layout: Layout): void {
    const { x, y, cells } = scene;
    const { visible } = this.viewport;
    const held = this.placeOf(scene.held);
    const place = this.#pointed;
    const strong = (side: "row" | "column") =>
      [place?.[side], held?.[side]].filter((one): one is number => one !== undefined && one >= 0);
    this.#rowLabels = labelsOf(x, visible.y0, visible.y1, layout.height, strong("row"), LABEL_PITCH);
    this.#columnLabels = labelsOf(y, visible.x0, visible.x1, layout.width, strong("column"), COLUMN_PITCH);
    const [below, beside]: [Profile[], Profile[]] = [[], []];
    for (const [kind, at] of [["pointed", place] as const, ["held", held] as const]) {
      if (!at || !cells) continue;
      if (at.row >= 0) below.push({ kind, ...profileOf(scene, at.row, "row") });
      if (at.column >= 0) beside.push({ kind, ...profileOf(scene, at.column, "column") });
    }
    this.#overlay.draw({
      x,
      y,
      layout,
      visible,
      rowLabels: this.#rowLabels,
      columnLabels: this.#columnLabels,
      held,
      pointed: place,
      focused: this.focused,
      pinned: scene.pinned.map((pair) => this.placeOf(pair)),
      best: scene.best && cells ? this.#bestOf(scene) : undefined,
      below,
      beside,
      limits: scene.colours.limits,
    });
  }
}

function clearedContext(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D | null {
  const ratio = window.devicePixelRatio || 1;
  const size = [Math.round(width * ratio), Math.round(height * ratio)] as const;
  if (canvas.width !== size[0]) canvas.width = size[0];
  if (canvas.height !== size[1]) canvas.height = size[1];
  const context = canvas.getContext("2d");
  context?.setTransform(ratio, 0, 0, ratio, 0, 0);
  context?.clearRect(0, 0, width, height);
  return context;
}

/** A grey ground with a text, for a map without numbers. */
function drawEmpty(context: CanvasRenderingContext2D, frame: Layout, ink: string, text: string): void {
  const { left, top, width, height } = frame;
  context.fillStyle = ink;
  context.globalAlpha = 0.1;
  context.fillRect(left, top, width, height);
  context.globalAlpha = 0.75;
  context.font = "13px ui-sans-serif, system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(text, left + width / 2, top + height / 2, width - 16);
  context.globalAlpha = 1;
}

/** Slanted lines over the whole area of the cells. */
function drawHatching(context: CanvasRenderingContext2D, frame: Layout, ink: string, alpha: number, wide = 1): void {
  const { left, top, width, height } = frame;
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.beginPath();
  context.strokeStyle = ink;
  context.globalAlpha = alpha;
  context.lineWidth = wide;
  for (let x = left - height; x < left + width; x += 6) {
    context.moveTo(x, top + height);
    context.lineTo(x + height, top);
  }
  context.stroke();
  context.restore();
}
