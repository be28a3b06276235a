/** One side of the map: the layers of a model that are its rows or columns, after folding and filtering. */

import type { Axis } from "../state/model";
import { type Bracket, type Entry, LayerTree } from "./layer_tree";

export interface Side {
  model: string;
  /** every layer of the model */
  layers: readonly string[];
  /** the blocks of the layers that pass the filter; it counts layers as `kept` does */
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

/** Makes sides, and returns the same object while nothing that it depends on has changed. */
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
      // enough for both sides of a model within itself, and the sides before them
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
 * Whether a filter lets a layer through: at least one of its words must fit. A word fits the layer's type, in any case;
 * or a part of its name; or, with * or ?, the whole name as a pattern.
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

/** The position of a layer, or of the folded block that hides it; -1 if it is filtered out. */
export function positionOf(side: Side, layer: string): number {
  const index = side.layers.indexOf(layer);
  const position = side.entries.findIndex((entry) => entry.index === index);
  if (position >= 0 || index < 0) return position;
  const within = side.kept.indexOf(index);
  const folded = side.tree.above(within).find((path) => !side.open.has(path));
  return folded === undefined ? -1 : side.entries.findIndex((entry) => entry.folded === folded);
}

/** The block that a row stands for: a folded one, or the innermost open one whose output, or last layer, the row is. */
export function blockAt(side: Side, position: number): { path: string; folded: boolean } | undefined {
  const entry = side.entries[position];
  if (!entry || side.filtered) return undefined;
  if (entry.folded !== undefined) return { path: entry.folded, folded: true };
  const above = side.tree.above(side.kept.indexOf(entry.index));
  const path = [...above].reverse().find((one) => side.kept[side.tree.blocks.get(one)?.row ?? -1] === entry.index);
  return path === undefined ? undefined : { path, folded: false };
}

/** The open blocks after one of them is folded or another is opened. */
export function toggleBlock(side: Side, path: string): string[] {
  return side.open.has(path) ? [...side.open].filter((one) => one !== path) : [...side.open, path];
}

/** The open blocks after all blocks around a layer are opened, so that it is seen itself. */
export function openedFor(side: Side, layer: string): string[] {
  const within = side.kept.indexOf(side.layers.indexOf(layer));
  return [...new Set([...side.open, ...side.tree.above(within)])];
}
