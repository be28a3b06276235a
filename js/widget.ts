/** The widget's entry: it wires the model to a view, and lets both go again. */

import type { RenderProps } from "@anywidget/types";
import type { HeatmapState } from "./model";
import { HeatmapView } from "./view";

const SHOWN = ["axes", "snapshot", "snapshot_meta", "measure", "view"] as const;

function render({ model, el }: RenderProps<HeatmapState>): () => void {
  const ended = new AbortController();
  const choose = <K extends "measure" | "view">(name: K, value: HeatmapState[K]) => {
    model.set(name, value);
    model.save_changes();
  };
  const view = new HeatmapView(
    { measure: (name) => choose("measure", name), view: (pair) => choose("view", pair) },
    ended.signal,
  );
  const show = () => {
    const state = Object.fromEntries(SHOWN.map((name) => [name, model.get(name)]));
    view.show(state as unknown as HeatmapState);
  };
  for (const name of SHOWN) model.on(`change:${name}`, show);
  el.append(view.element);
  show();
  return () => {
    for (const name of SHOWN) model.off(`change:${name}`, show);
    ended.abort();
    view.element.remove();
  };
}

export default { render };
