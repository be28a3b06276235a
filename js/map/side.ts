/** One side of the map: the layers of a model that are its rows or columns, after folding and filtering. */

import type { Axis } from "../state/model";
import { type Bracket, type Entry, LayerTree } from "./layer_tree";

export interface Side {
  model: string;
  /** every layer of the model */
  layers: readonly string[];
  /** the blocks of the layers that pass the filter; layer k of the tree is the layer `kept[k]` */
  tree: LayerTree;
  /** positions in `layers` of the layers that pass the filter */
  kept: readonly number[];
  /** the paths of the open blocks */
  open: ReadonlySet<string>;
  /** the rows or columns; their `index` is a position in `layers` */
  entries: readonly Entry[];
  brackets: readonly Bracket[];
  filtered: boolean;
}

export const NO_SIDE: Side = {
  model: "",
  layers: [],
  tree: new LayerTree([]),
  kept: [],
  open: new Set(),
  entries: [],
  brackets: [],
  filtered: false,
};

/** Makes sides, and returns the same `Side` object as before while its layers, filter and open blocks are the same. */
export class Sides {
  #trees = new WeakMap<readonly string[], Map<string, { tree: LayerTree; kept: number[] }>>();
  #made = new WeakMap<LayerTree, { key: string; side: Side }[]>();

  side(axis: Axis | undefined, open: readonly string[] | undefined, filter: string): Side {
    if (!axis) return NO_SIDE;
    const { tree, kept } = this.#tree(axis, filter);
    const filtered = filter.trim() !== "";
    const opened = filtered ? tree.toDepth(tree.depth) : (open ?? tree.defaultOpen());
    const key = JSON.stringify([axis.model, opened]);
    const made = this.#made.get(tree) ?? [];
    let found = made.find((one) => one.key === key)?.side;
    if (!found) {
      const set = new Set(opened);
      const entries = tree.entries(set);
      found = {
        model: axis.model,
        layers: axis.layers,
        tree,
        kept,
        open: set,
        entries: entries.map((entry) => ({ ...entry, index: kept[entry.index] ?? 0 })),
        brackets: tree.brackets(entries),
        filtered,
      };
      // four are enough for a model compared with itself: its two sides, and the two before the latest change
      this.#made.set(tree, [{ key, side: found }, ...made].slice(0, 4));
    }
    return found;
  }

  #tree({ layers, kinds }: Axis, filter: string): { tree: LayerTree; kept: number[] } {
    const trees = this.#trees.get(layers) ?? new Map<string, { tree: LayerTree; kept: number[] }>();
    this.#trees.set(layers, trees);
    let found = trees.get(filter);
    if (!found) {
      const passes = layerFilter(filter);
      const kept = layers.map((_, i) => i).filter((i) => passes(layers[i] ?? "", kinds[i] ?? ""));
      found = { tree: new LayerTree(kept.map((i) => layers[i] ?? "")), kept };
      if (trees.size > 8) trees.clear();
      trees.set(filter, found);
    }
    return found;
  }
}

/**
 * Return the test of whether a layer passes a filter: at least one word of the filter must fit. A word fits if it is
 * the layer's type, or a part of the layer's name, both in upper or lower case; a word with * or ? fits if it matches
 * the whole name.
 */
export function layerFilter(filter: string): (name: string, kind: string) => boolean {
  const words = filter.trim().split(/\s+/).filter(Boolean);
  if (!words.length) return () => true;
  const tests = words.map((word) => {
    const glob = /[*?]/.test(word) ? globPattern(word) : undefined;
    const lower = word.toLowerCase();
    return (name: string, kind: string) =>
      kind.toLowerCase() === lower || (glob ? glob.test(name) : name.toLowerCase().includes(lower));
  });
  return (name, kind) => tests.some((test) => test(name, kind));
}

function globPattern(word: string): RegExp {
  const escaped = word.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replace(/\*/g, ".*").replace(/\?/g, ".")}$`, "s");
}

/** The position of a layer, or of the folded block that hides the layer; -1 if the layer is filtered out. */
export function positionOf(side: Side, layer: string): number {
  const index = side.layers.indexOf(layer);
  const position = side.entries.findIndex((entry) => entry.index === index);
  if (position >= 0 || index < 0) return position;
  const within = side.kept.indexOf(index);
  const folded = side.tree.above(within).find((path) => !side.open.has(path));
  return folded === undefined ? -1 : side.entries.findIndex((entry) => entry.folded === folded);
}

/** The block of a row: the folded block that the row represents, or the innermost open one that it would represent. */
export function blockAt(side: Side, position: number): { path: string; folded: boolean } | undefined {
  const entry = side.entries[position];
  if (!entry || side.filtered) return undefined;
  if (entry.folded !== undefined) return { path: entry.folded, folded: true };
  const above = side.tree.above(side.kept.indexOf(entry.index));
  const path = [...above].reverse().find((one) => side.kept[side.tree.blocks.get(one)?.row ?? -1] === entry.index);
  return path === undefined ? undefined : { path, folded: false };
}

/** The open blocks after the block `path` has been folded, or opened if it was folded. */
export function toggleBlock(side: Side, path: string): string[] {
  return side.open.has(path) ? [...side.open].filter((one) => one !== path) : [...side.open, path];
}

/** The open blocks after all blocks around a layer have been opened, so that the layer has a row of its own. */
export function openedFor(side: Side, layer: string): string[] {
  const within = side.kept.indexOf(side.layers.indexOf(layer));
  return [...new Set([...side.open, ...side.tree.above(within)])];
}
