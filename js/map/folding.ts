/** The two sides of the map, and the commands that open and fold their blocks. */

import { entryOf, withEntry } from "../state/records";
import type { Store } from "../state/store";
import type { Handle } from "./scene";
import { openedFor, type Side, Sides, toggleBlock } from "./side";

/** The settings of the tools above the map. */
export interface ToolSettings {
  filter: string;
  foldBoth: boolean;
  bestMatch: boolean;
}

export class Folding {
  #store: Store;
  #settings: ToolSettings;
  #sides = new Sides();

  constructor(store: Store, chosen: ToolSettings) {
    this.#store = store;
    this.#settings = chosen;
  }

  /** The rows and the columns, as they are folded and filtered now. */
  get sides(): [Side, Side] {
    const store = this.#store;
    const [row, column] = store.get("view");
    const axes = store.get("axes");
    const side = (axis: (typeof axes)[number] | undefined, name: "open_x" | "open_y") =>
      this.#sides.side(axis, axis && entryOf(store.get(name), axis.model), this.#settings.filter);
    return [side(axes[row], "open_x"), side(axes[column], "open_y")];
  }

  /** Fold or open a block; with "fold alike" also the block of the same name on the other side of the map. */
  toggle({ side, path }: Handle): void {
    const sides = this.sides;
    const opens = !sides[side === "x" ? 0 : 1].open.has(path);
    sides.forEach((one, k) => {
      const concerned = (k === 0) === (side === "x") || (this.#settings.foldBoth && one.tree.blocks.has(path));
      if (concerned && one.open.has(path) !== opens) this.#open(k, one, toggleBlock(one, path));
    });
  }

  /** Open the blocks of both sides down to a depth; undefined opens the blocks that are open by default. */
  openTo(depth: number | undefined): void {
    this.sides.forEach((side, k) => this.#open(k, side, depth === undefined ? undefined : side.tree.toDepth(depth)));
  }

  /** Open the blocks around a layer; returns for the rows and for the columns whether they have the layer. */
  openFor(name: string): [boolean, boolean] {
    const has = this.sides.map((side, k) => {
      const here = side.kept.some((index) => side.layers[index] === name);
      const opened = here && !side.filtered ? openedFor(side, name) : [];
      if (opened.length > side.open.size) this.#open(k, side, opened);
      return here;
    });
    return [has[0] ?? false, has[1] ?? false];
  }

  #open(k: number, { model }: Side, blocks: string[] | undefined): void {
    const name = k === 0 ? "open_x" : "open_y";
    this.#store.set(name, withEntry(this.#store.get(name), model, blocks));
  }
}
