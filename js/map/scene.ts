/** What the map shows at one moment, and what can be pointed at on its edges: types that its files share. */

import type { Selection } from "../state/model";
import type { Cells } from "../state/snapshot";
import type { Colouring } from "./palette";
import type { Side } from "./side";

/** What there is to draw. Without cells the axes stand around a grey ground. */
export interface Scene {
  x: Side;
  y: Side;
  cells: Cells | undefined;
  /** the numbers that the colours are of: values or errors */
  shown: Float32Array;
  /** of `shown`, by the colouring */
  steps: Int16Array;
  colours: Colouring;
  held: Selection | null;
  pinned: Selection[];
  /** cells with a larger error are hatched; undefined for none */
  threshold: number | undefined;
  best: boolean;
  /** said on the grey ground */
  waiting: string;
}

/** What a click on the edge of the map is for: a block of the rows or of the columns. */
export interface Handle {
  side: "x" | "y";
  path: string;
}
