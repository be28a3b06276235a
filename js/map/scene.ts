/** A scene: all that the map shows at one moment, as one value. `sceneOf` makes a scene, `Plot` draws it. */

import type { MeasureInfo, RunInfo, Scale, Selection, WidgetState } from "../state/model";
import type { Cells } from "../state/snapshot";
import { type Colouring, colourNumbers, type ColourSource } from "./palette";
import type { Side } from "./side";

export interface Scene {
  /** the rows */
  x: Side;
  /** the columns */
  y: Side;
  /** the numbers of all pairs of layers; undefined before there are any: the map is then a grey ground */
  cells: Cells | undefined;
  /** what the colours show: a measure or its standard errors */
  source: ColourSource;
  /** those numbers of `cells` (values or standard errors) that become colours; empty without `cells` */
  shown: Float32Array;
  /** for each number in `shown` its step on the colour scale */
  steps: Int16Array;
  colours: Colouring;
  held: Selection | null;
  pinned: Selection[];
  /** cells with a larger standard error are hatched; undefined if no cell is hatched */
  threshold: number | undefined;
  /** whether a line goes through the most similar column of each row */
  best: boolean;
  /** the text on the grey ground */
  emptyText: string;
}

/** A block at the edge of the map, among the rows (x) or the columns (y), which a click opens or folds. */
export interface Handle {
  side: "x" | "y";
  path: string;
}

/** What a scene depends on. */
export interface SceneInputs {
  sides: [Side, Side];
  about: MeasureInfo;
  /** the latest numbers of this measure and view */
  latest: Cells | undefined;
  run: RunInfo;
  shows: WidgetState["shows"];
  scale: Scale;
  threshold: number;
  held: Selection | null;
  pinned: Selection[];
  filter: string;
  bestMatch: boolean;
}

const NO_NUMBERS = new Float32Array();

/** Make a scene. `colour` may be a function that remembers its last result, so that equal numbers are coloured once. */
export function sceneOf(inputs: SceneInputs, colour = colourNumbers): Scene {
  const { sides, about, latest, run, shows, scale, threshold, held, pinned, filter, bestMatch } = inputs;
  const [x, y] = sides;
  const known = run.n_samples || latest?.samples ? latest : undefined;
  // the first batch brings the layers into execution order: older numbers, in another order, do not fit these sides
  const cells = known && equalLists(known.rows, x.layers) && equalLists(known.columns, y.layers) ? known : undefined;
  const source = shows === "errors" ? { ...about, name: `${about.name} ±`, threshold } : about;
  const shown = (shows === "errors" ? cells?.stderr : cells?.values) ?? NO_NUMBERS;
  const nothingPasses = filter !== "" && (!x.entries.length || !y.entries.length);
  const waiting = run.state === "ready" ? "not started" : "waiting for the loader";
  return {
    x,
    y,
    cells,
    source,
    shown,
    ...colour(shown, source, scale),
    held,
    pinned,
    threshold: shows === "values" ? threshold : undefined,
    best: bestMatch && about.kind !== "difference",
    emptyText: nothingPasses ? `no layer is like “${filter}”` : cells ? "" : waiting,
  };
}

/** A note for the title if the colours are not the usual ones; "" if they are. */
export function colourNote({ source, colours }: Scene): string {
  const errors = source.threshold !== undefined ? "colours are standard errors" : "";
  return [errors, colours.note].filter(Boolean).join(", ");
}

function equalLists(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((name, i) => name === b[i]));
}
