/** Pointer, wheel and keys on the map. Moving and zooming happen here; everything else is left to `MapActions`. */

import type { Place } from "./layout";
import type { Plot } from "./plot";
import type { Handle } from "./scene";

/** A pressed pointer that moves by more pixels than this drags the map; a smaller movement is a click. */
const DRAG_FROM = 4;
const PAGE_STEP = 10;

export interface MapActions {
  /** the pointed cell or the visible part has changed: draw again */
  redraw(): void;
  /** hold the pair of a cell; if it is held already, pin or unpin it */
  choose(place: Place): void;
  /** fold or open a block */
  toggle(handle: Handle): void;
  /** release the held pair */
  release(): void;
}

export class PointerAndKeyboard {
  #plot: Plot;
  #actions: MapActions;
  #drag: { x: number; y: number; moved: boolean } | undefined;

  constructor(plot: Plot, actions: MapActions, signal: AbortSignal) {
    this.#plot = plot;
    this.#actions = actions;
    const { element } = plot;
    element.addEventListener("pointermove", (event) => this.#move(event), { signal });
    element.addEventListener("pointerdown", (event) => this.#press(event), { signal });
    element.addEventListener("pointerup", (event) => this.#lift(event), { signal });
    element.addEventListener("pointercancel", () => (this.#drag = undefined), { signal });
    element.addEventListener("pointerleave", () => this.#pointerLeft(), { signal });
    element.addEventListener("dblclick", () => this.#reset(), { signal });
    element.addEventListener("wheel", (event) => this.#wheel(event), { signal, passive: false });
    element.addEventListener("keydown", (event) => this.#key(event), { signal });
    element.addEventListener("focus", () => this.#focus(), { signal });
    element.addEventListener("blur", () => this.#blur(), { signal });
  }

  #pointAt(place: Place | undefined, focused = false): void {
    const { pointed: before, focused: was } = this.#plot;
    if (before?.row === place?.row && before?.column === place?.column && was === focused) return;
    this.#plot.pointed = place;
    this.#plot.focused = focused;
    this.#actions.redraw();
  }

  /** The position of the pointer on the map. */
  #position({ clientX, clientY }: MouseEvent): [number, number] {
    const { left, top } = this.#plot.element.getBoundingClientRect();
    return [clientX - left, clientY - top];
  }

  #move(event: PointerEvent): void {
    const plot = this.#plot;
    if (this.#drag && plot.layout) {
      const [dx, dy] = [event.clientX - this.#drag.x, event.clientY - this.#drag.y];
      if (this.#drag.moved || Math.hypot(dx, dy) > DRAG_FROM) {
        if (!this.#drag.moved) plot.element.setPointerCapture(event.pointerId);
        this.#drag = { x: event.clientX, y: event.clientY, moved: true };
        plot.viewport.pan(-dx / plot.layout.width, -dy / plot.layout.height);
        plot.element.style.cursor = "grabbing";
        this.#actions.redraw();
        return;
      }
    }
    const [x, y] = this.#position(event);
    const place = plot.placeAt(x, y);
    plot.element.style.cursor = place ? "crosshair" : plot.handleAt(x, y) ? "pointer" : "default";
    this.#pointAt(place);
  }

  #press(event: PointerEvent): void {
    if (event.button !== 0) return;
    const [x, y] = this.#position(event);
    this.#drag = this.#plot.placeAt(x, y) && { x: event.clientX, y: event.clientY, moved: false };
  }

  #lift(event: PointerEvent): void {
    const moved = this.#drag?.moved;
    this.#drag = undefined;
    if (event.button !== 0 || moved) {
      this.#plot.element.style.cursor = "crosshair";
      return;
    }
    const [x, y] = this.#position(event);
    const place = this.#plot.placeAt(x, y);
    const handle = place ? undefined : this.#plot.handleAt(x, y);
    if (place) this.#actions.choose(place);
    else if (handle) this.#actions.toggle(handle);
  }

  #pointerLeft(): void {
    if (!this.#plot.focused) this.#pointAt(undefined);
  }

  #reset(): void {
    if (this.#plot.viewport.whole) return;
    this.#plot.viewport.reset();
    this.#actions.redraw();
  }

  /** The wheel zooms. When the whole map is visible, zooming out is left to the page, which scrolls. */
  #wheel(event: WheelEvent): void {
    const { viewport, layout } = this.#plot;
    const [x, y] = this.#position(event);
    if (!layout || !this.#plot.placeAt(x, y)) return;
    if (event.deltaY >= 0 && viewport.whole) return;
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const factor = Math.exp(Math.max(-1, Math.min(1, event.deltaY * lines * 0.002)));
    viewport.zoom(factor, (x - layout.left) / layout.width, (y - layout.top) / layout.height);
    this.#pointAt(this.#plot.placeAt(x, y));
    this.#actions.redraw();
  }

  #focus(): void {
    if (!this.#plot.element.matches(":focus-visible")) return;
    const { visible } = this.#plot.viewport;
    const held = this.#plot.placeOf(this.#plot.scene?.held ?? null);
    this.#moveTo(held ?? { row: Math.floor(visible.y0), column: Math.floor(visible.x0) });
  }

  #blur(): void {
    if (this.#plot.focused) this.#pointAt(undefined);
  }

  #moveTo(place: Place): void {
    const [rows, columns] = this.#plot.shape;
    if (!rows || !columns) return;
    const { row: before } = this.#plot.pointed ?? { row: 0 };
    let row = Math.min(rows - 1, Math.max(-1, place.row));
    let column = Math.min(columns - 1, Math.max(-1, place.column));
    // there is no cell in the corner where the headers meet: step from the first row's header to the first column's
    if (row < 0 && column < 0) [row, column] = before < 0 ? [0, -1] : [-1, 0];
    this.#plot.viewport.reveal(row, column);
    this.#pointAt({ row, column }, true);
    this.#actions.redraw();
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (!this.#act(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Do what a key stands for; false if the key has no meaning here. */
  #act(key: string): boolean {
    const plot = this.#plot;
    const at = plot.pointed ?? plot.placeOf(plot.scene?.held ?? null) ?? { row: 0, column: 0 };
    const fresh = plot.pointed === undefined;
    const by = (row: number, column: number) => {
      this.#moveTo(fresh ? at : { row: at.row + row, column: at.column + column });
      return true;
    };
    const zoom = (factor: number) => {
      const { x0, x1, y0, y1 } = plot.viewport.visible;
      plot.viewport.zoom(factor, (at.column + 0.5 - x0) / (x1 - x0), (at.row + 0.5 - y0) / (y1 - y0));
      this.#actions.redraw();
      return true;
    };
    switch (key) {
      case "ArrowUp":
        return by(-1, 0);
      case "ArrowDown":
        return by(1, 0);
      case "ArrowLeft":
        return by(0, -1);
      case "ArrowRight":
        return by(0, 1);
      case "PageUp":
        return by(-Math.min(PAGE_STEP, Math.max(1, at.row)), 0);
      case "PageDown":
        return by(PAGE_STEP, 0);
      case "Home":
        return by(0, -Math.max(0, at.column));
      case "End":
        return by(0, plot.shape[1]);
      case "+":
      case "=":
        return zoom(0.7);
      case "-":
        return zoom(1 / 0.7);
      case "0":
        this.#reset();
        return true;
      case "Enter":
      case " ":
        return this.#activate(at);
      case "Escape":
        return this.#escape();
      default:
        return false;
    }
  }

  #activate(place: Place): boolean {
    if (place.row >= 0 && place.column >= 0) this.#actions.choose(place);
    else {
      const handle = this.#plot.headerHandle(place);
      if (handle) this.#actions.toggle(handle);
    }
    return true;
  }

  /** Undo the first that applies: pointing at a cell, holding a pair, the zoom. */
  #escape(): boolean {
    const plot = this.#plot;
    if (plot.pointed) this.#pointAt(undefined);
    else if (plot.scene?.held) this.#actions.release();
    else this.#reset();
    return true;
  }
}
