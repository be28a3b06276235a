/** Texts about the cell or header at the pointer: up to two lines to read, and one name for screen readers. */

import type { Axis, Selection } from "../state/model";
import { layerText, valueText } from "../state/display_text";
import type { Place } from "./layout";
import type { Scene } from "./scene";
import { blockAt } from "./side";

export interface CellText {
  lines: string[];
  /** the whole text in one line, for screen readers */
  name: string;
  /** for a header of a block: whether the block is open; otherwise undefined */
  expanded: boolean | undefined;
}

/** The two lines shown while no cell or header is pointed at. */
export const HINT = ["Click or Enter holds a cell, arrows move", "▸ opens a block · the wheel zooms"];

export function mapText({ cells, x, y }: Scene): string {
  const what = cells ? `${cells.about.title} of ${cells.modelX} and ${cells.modelY}` : "Similarity, no numbers yet";
  return `${what}: rows are layers of ${x.model}, columns of ${y.model}`;
}

export function cellText(scene: Scene, place: Place, pair: Selection | undefined, axes: Axis[]): CellText {
  if (place.row < 0 || place.column < 0) return headerText(scene, place, axes);
  if (!pair) return { lines: [""], name: "", expanded: undefined };
  const { cells, x, y } = scene;
  const { model_x, layer_x, model_y, layer_y } = pair;
  const [row, column] = [x.entries[place.row]?.index ?? -1, y.entries[place.column]?.index ?? -1];
  const value = cells ? valueText(cells, row, column) : "no number yet";
  const lines = [`${layer_x} × ${layer_y}`, `${model_x} × ${model_y}   ${value}`];
  const name = `${layerText(model_x, layer_x)} × ${layerText(model_y, layer_y)}: ${value}`;
  return { lines, name, expanded: undefined };
}

function headerText({ x, y }: Scene, { row, column }: Place, axes: Axis[]): CellText {
  const [side, position] = row < 0 ? [y, column] : [x, row];
  const index = side.entries[position]?.index ?? -1;
  const block = blockAt(side, position);
  const kind = axes.find(({ model }) => model === side.model)?.kinds[index];
  const name = layerText(side.model, side.layers[index] ?? "");
  const keyHint = block ? [`Enter ${block.folded ? "opens" : "folds"} ${block.path}`] : [];
  const lines = [kind ? `${name}, ${kind}` : name, ...keyHint];
  return { lines, name: lines.join(": "), expanded: block && !block.folded };
}
