/** The matrix on a canvas: cells, labels, the cell that is pointed at, and the pair that is held. */

import { shortened, shownLabels } from "./labels";
import type { Selection } from "./model";
import { pixels, type Colouring } from "./palette";
import type { Cells } from "./snapshot";

const FONT = "11px ui-sans-serif, system-ui, sans-serif";
const LABEL_ROOM = 132;
const TILT = Math.PI / 3;

export interface Place {
  row: number;
  column: number;
}

export interface Frame {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** What there is to draw. Without cells the axes stand around a grey ground. */
export interface Picture {
  rows: string[];
  columns: string[];
  modelX: string;
  modelY: string;
  cells: Cells | undefined;
  /** of the cells, by the colouring */
  steps: Int16Array;
  colours: Colouring;
  held: Selection | null;
  /** said on the grey ground */
  waiting: string;
}

/** The cell at a point of the canvas, both in CSS pixels. */
export function placeAt(frame: Frame, [rows, columns]: [number, number], x: number, y: number): Place | undefined {
  const column = Math.floor(((x - frame.left) / frame.width) * columns);
  const row = Math.floor(((y - frame.top) / frame.height) * rows);
  return row >= 0 && row < rows && column >= 0 && column < columns ? { row, column } : undefined;
}

export class Plot {
  readonly canvas = document.createElement("canvas");
  #picture: Picture | undefined;
  #raster: HTMLCanvasElement | undefined;
  #drawn: Int16Array | undefined;
  #rooms = new Rooms();
  #place: Place | undefined;
  #frame: Frame = { left: 0, top: 0, width: 1, height: 1 };

  get cells(): Cells | undefined {
    return this.#picture?.cells;
  }

  get shape(): [number, number] {
    return [this.#picture?.rows.length ?? 0, this.#picture?.columns.length ?? 0];
  }

  get place(): Place | undefined {
    return this.#place;
  }

  set place(place: Place | undefined) {
    if (place?.row === this.#place?.row && place?.column === this.#place?.column) return;
    this.#place = place;
    this.#draw();
  }

  show(picture: Picture): void {
    this.#picture = picture;
    const { cells, steps, colours } = picture;
    const [rows, columns] = this.shape;
    if (this.#place && (this.#place.row >= rows || this.#place.column >= columns)) this.#place = undefined;
    if (cells && steps !== this.#drawn) {
      this.#raster = raster(cells, steps, colours, this.#raster);
      this.#drawn = steps;
    }
    this.#draw();
  }

  at(x: number, y: number): Place | undefined {
    return placeAt(this.#frame, this.shape, x, y);
  }

  /** The layers of a cell. */
  pair(place: Place | undefined): Selection | undefined {
    if (!place || !this.#picture) return undefined;
    const { rows, columns, modelX, modelY } = this.#picture;
    const [layerX, layerY] = [rows[place.row], columns[place.column]];
    if (layerX === undefined || layerY === undefined) return undefined;
    return { model_x: modelX, layer_x: layerX, model_y: modelY, layer_y: layerY };
  }

  #draw(): void {
    const { canvas } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const pen = canvas.getContext("2d");
    const picture = this.#picture;
    if (!pen || !width || !height || !picture) return;
    const ratio = window.devicePixelRatio || 1;
    const size = [Math.round(width * ratio), Math.round(height * ratio)] as const;
    if (canvas.width !== size[0]) canvas.width = size[0];
    if (canvas.height !== size[1]) canvas.height = size[1];
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = FONT;
    this.#frame = framed(this.#rooms, pen, picture, width, height);
    const { left, top, width: w, height: h } = this.#frame;
    canvas.dataset.frame = [left, top, w, h].join(" ");
    const ink = getComputedStyle(canvas).color;
    if (picture.cells && this.#raster) {
      hatch(pen, this.#frame, ink);
      pen.imageSmoothingEnabled = false;
      pen.drawImage(this.#raster, left, top, w, h);
    } else ground(pen, this.#frame, ink, picture.waiting);
    const held = this.#heldPlace(picture);
    this.#label(pen, ink, picture, held);
    if (held) this.#mark(pen, held, 3);
    if (this.#place) this.#mark(pen, this.#place, 1.5);
  }

  /** Where the held pair stands in this view, seen from either side. */
  #heldPlace({ rows, columns, modelX, modelY, held }: Picture): Place | undefined {
    if (!held) return undefined;
    const find = (x: string, layerX: string, y: string, layerY: string): Place | undefined => {
      const [row, column] = [rows.indexOf(layerX), columns.indexOf(layerY)];
      return x === modelX && y === modelY && row >= 0 && column >= 0 ? { row, column } : undefined;
    };
    return (
      find(held.model_x, held.layer_x, held.model_y, held.layer_y) ??
      find(held.model_y, held.layer_y, held.model_x, held.layer_x)
    );
  }

  #label(pen: CanvasRenderingContext2D, ink: string, { rows, columns, modelX, modelY }: Picture, held?: Place): void {
    const { left, top, width, height } = this.#frame;
    const [tall, wide] = [height / rows.length, width / columns.length];
    const write = (name: string, strong: boolean, room: number, x: number, y: number, tilt: number) => {
      pen.save();
      pen.translate(x, y);
      pen.rotate(tilt);
      pen.fillStyle = ink;
      pen.globalAlpha = strong ? 1 : 0.72;
      pen.font = strong ? `600 ${FONT}` : FONT;
      pen.textAlign = tilt ? "left" : "right";
      pen.textBaseline = "middle";
      pen.fillText(
        shortened(name, (text) => pen.measureText(text).width <= room),
        0,
        0,
      );
      pen.restore();
    };
    const strong = (side: "row" | "column") =>
      [this.#place?.[side], held?.[side]].filter((one): one is number => one !== undefined);
    for (const i of shownLabels(rows.length, tall, strong("row"))) {
      write(rows[i] ?? "", strong("row").includes(i), left - 12, left - 6, top + (i + 0.5) * tall, 0);
    }
    // tilted labels stand closer than their distance along the axis
    for (const j of shownLabels(columns.length, wide * Math.sin(TILT), strong("column"))) {
      const room = (top - 12) / Math.sin(TILT);
      write(columns[j] ?? "", strong("column").includes(j), room, left + (j + 0.5) * wide, top - 6, -TILT);
    }
    pen.globalAlpha = 0.9;
    pen.fillStyle = ink;
    pen.font = `600 ${FONT}`;
    pen.textAlign = "left";
    pen.textBaseline = "top";
    const fits = (text: string) => pen.measureText(text).width <= left - 14;
    pen.fillText(`${shortened(modelX, (text) => fits(`${text} ↓`))} ↓`, 2, 4);
    pen.fillText(`${shortened(modelY, (text) => fits(`${text} →`))} →`, 2, 19);
    pen.globalAlpha = 1;
  }

  /** A black and a white outline, visible on any colour. */
  #mark(pen: CanvasRenderingContext2D, { row, column }: Place, line: number): void {
    const [rows, columns] = this.shape;
    const { left, top, width, height } = this.#frame;
    const [wide, tall] = [width / columns, height / rows];
    const [x, y] = [left + column * wide, top + row * tall];
    for (const [style, grow] of [
      ["#000", line],
      ["#fff", line / 3],
    ] as const) {
      pen.strokeStyle = style;
      pen.lineWidth = line / 1.5;
      pen.strokeRect(x - grow, y - grow, wide + 2 * grow, tall + 2 * grow);
    }
  }
}

function raster(cells: Cells, steps: Int16Array, colours: Colouring, used?: HTMLCanvasElement): HTMLCanvasElement {
  const canvas = used ?? document.createElement("canvas");
  const [width, height] = [cells.columns.length, cells.rows.length];
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  if (width && height)
    canvas.getContext("2d")?.putImageData(new ImageData(pixels(steps, colours), width, height), 0, 0);
  return canvas;
}

/** How long the longest name of an axis is; measured once, since axes seldom change. */
class Rooms {
  #widths = new WeakMap<string[], number[]>();

  widest(pen: CanvasRenderingContext2D, names: string[], from = 0): number {
    let widths = this.#widths.get(names);
    if (!widths) this.#widths.set(names, (widths = names.map((name) => pen.measureText(name).width)));
    return widths.slice(from).reduce((a, b) => Math.max(a, b), 40);
  }
}

/** Room for the labels at the left and at the top; the cells take the rest. */
function framed(
  rooms: Rooms,
  pen: CanvasRenderingContext2D,
  { rows, columns }: Picture,
  width: number,
  height: number,
): Frame {
  const left = Math.round(Math.min(rooms.widest(pen, rows), LABEL_ROOM, width / 3) + 14);
  const top = Math.round(Math.min(rooms.widest(pen, columns), LABEL_ROOM, height / 3) * Math.sin(TILT) + 16);
  const right = Math.round(Math.min(LABEL_ROOM, rooms.widest(pen, columns, -8)) * Math.cos(TILT) + 6);
  return { left, top, width: Math.max(1, width - left - right), height: Math.max(1, height - top - 6) };
}

/** The ground of a map without numbers. */
function ground(pen: CanvasRenderingContext2D, frame: Frame, ink: string, text: string): void {
  const { left, top, width, height } = frame;
  pen.fillStyle = ink;
  pen.globalAlpha = 0.1;
  pen.fillRect(left, top, width, height);
  pen.globalAlpha = 0.75;
  pen.font = "13px ui-sans-serif, system-ui, sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText(text, left + width / 2, top + height / 2);
  pen.globalAlpha = 1;
}

/** The ground of cells without a number. */
function hatch(pen: CanvasRenderingContext2D, { left, top, width, height }: Frame, ink: string): void {
  pen.save();
  pen.beginPath();
  pen.rect(left, top, width, height);
  pen.clip();
  pen.beginPath();
  pen.strokeStyle = ink;
  pen.globalAlpha = 0.28;
  pen.lineWidth = 1;
  for (let x = left - height; x < left + width; x += 6) {
    pen.moveTo(x, top + height);
    pen.lineTo(x + height, top);
  }
  pen.stroke();
  pen.restore();
}
