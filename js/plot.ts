/** The matrix on a canvas: cells, labels, and the cell that is pointed at. */

import { LABEL_PITCH, shortened, shownLabels } from "./labels";
import { pixels } from "./palette";
import type { Cells } from "./snapshot";

const FONT = "11px ui-sans-serif, system-ui, sans-serif";
const LABEL_ROOM = 150;
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

/** The cell at a point of the canvas, both in CSS pixels. */
export function placeAt(frame: Frame, cells: Cells, x: number, y: number): Place | undefined {
  const column = Math.floor(((x - frame.left) / frame.width) * cells.columns.length);
  const row = Math.floor(((y - frame.top) / frame.height) * cells.rows.length);
  const inside = row >= 0 && row < cells.rows.length && column >= 0 && column < cells.columns.length;
  return inside ? { row, column } : undefined;
}

export class Plot {
  readonly canvas = document.createElement("canvas");
  #cells: Cells | undefined;
  #raster: HTMLCanvasElement | undefined;
  #place: Place | undefined;
  #frame: Frame = { left: 0, top: 0, width: 1, height: 1 };

  get cells(): Cells | undefined {
    return this.#cells;
  }

  get place(): Place | undefined {
    return this.#place;
  }

  get frame(): Frame {
    return this.#frame;
  }

  set cells(cells: Cells | undefined) {
    this.#cells = cells;
    this.#raster = cells === undefined ? undefined : raster(cells);
    const known = this.#place;
    if (cells === undefined || (known && (known.row >= cells.rows.length || known.column >= cells.columns.length))) {
      this.#place = undefined;
    }
    this.draw();
  }

  set place(place: Place | undefined) {
    this.#place = place;
    this.draw();
  }

  at(x: number, y: number): Place | undefined {
    return this.#cells && placeAt(this.#frame, this.#cells, x, y);
  }

  draw(): void {
    const { canvas } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const pen = canvas.getContext("2d");
    if (!pen || !width || !height || !this.#cells || !this.#raster) return;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.font = FONT;
    this.#frame = framed(pen, this.#cells, width, height);
    const { left, top, width: w, height: h } = this.#frame;
    const ink = getComputedStyle(canvas).color;
    hatch(pen, this.#frame, ink);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(this.#raster, left, top, w, h);
    this.#label(pen, ink);
    if (this.#place) this.#mark(pen, this.#place);
  }

  #label(pen: CanvasRenderingContext2D, ink: string): void {
    const { rows, columns } = this.#cells as Cells;
    const { left, top, width, height } = this.#frame;
    const [tall, wide] = [height / rows.length, width / columns.length];
    const write = (name: string, here: boolean, room: number, x: number, y: number, tilt: number) => {
      pen.save();
      pen.translate(x, y);
      pen.rotate(tilt);
      pen.fillStyle = ink;
      pen.globalAlpha = here ? 1 : 0.72;
      pen.font = here ? `600 ${FONT}` : FONT;
      pen.textAlign = tilt ? "left" : "right";
      pen.textBaseline = "middle";
      pen.fillText(
        shortened(name, (text) => pen.measureText(text).width <= room),
        0,
        0,
      );
      pen.restore();
    };
    for (const i of shownLabels(rows.length, tall, this.#place?.row)) {
      write(rows[i] ?? "", i === this.#place?.row, left - 10, left - 6, top + (i + 0.5) * tall, 0);
    }
    // tilted labels stand closer than their distance along the axis
    for (const j of shownLabels(columns.length, wide * Math.sin(TILT), this.#place?.column)) {
      const room = (top - 10) / Math.sin(TILT);
      write(columns[j] ?? "", j === this.#place?.column, room, left + (j + 0.5) * wide, top - 6, -TILT);
    }
  }

  /** A black and a white outline, visible on any colour. */
  #mark(pen: CanvasRenderingContext2D, { row, column }: Place): void {
    const { rows, columns } = this.#cells as Cells;
    const { left, top, width, height } = this.#frame;
    const [wide, tall] = [width / columns.length, height / rows.length];
    const [x, y] = [left + column * wide, top + row * tall];
    for (const [style, grow, line] of [
      ["#000", 2, 1.5],
      ["#fff", 0.5, 1.5],
    ] as const) {
      pen.strokeStyle = style;
      pen.lineWidth = line;
      pen.strokeRect(x - grow, y - grow, wide + 2 * grow, tall + 2 * grow);
    }
  }
}

function raster(cells: Cells): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = cells.columns.length;
  canvas.height = cells.rows.length;
  canvas.getContext("2d")?.putImageData(new ImageData(pixels(cells.values), canvas.width, canvas.height), 0, 0);
  return canvas;
}

/** Room for the labels at the left and at the top; the cells take the rest. */
function framed(pen: CanvasRenderingContext2D, cells: Cells, width: number, height: number): Frame {
  const widest = (names: string[]) => Math.max(24, ...names.map((name) => pen.measureText(name).width));
  const left = Math.min(widest(cells.rows), LABEL_ROOM, width / 3) + 12;
  const top = Math.min(widest(cells.columns), LABEL_ROOM, height / 3) * Math.sin(TILT) + 14;
  const right = Math.min(LABEL_ROOM, widest(cells.columns.slice(-8))) * Math.cos(TILT) + LABEL_PITCH / 2;
  return { left, top, width: Math.max(1, width - left - right), height: Math.max(1, height - top - 4) };
}

/** The ground of cells without a number. */
function hatch(pen: CanvasRenderingContext2D, { left, top, width, height }: Frame, ink: string): void {
  pen.save();
  pen.beginPath();
  pen.rect(left, top, width, height);
  pen.clip();
  pen.strokeStyle = ink;
  pen.globalAlpha = 0.28;
  for (let x = left - height; x < left + width; x += 6) {
    pen.moveTo(x, top + height);
    pen.lineTo(x + height, top);
  }
  pen.stroke();
  pen.restore();
}
