// @vitest-environment happy-dom
import { zlibSync } from "fflate";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { WidgetState } from "../state/model";
import { StandIn } from "../state/offline_model";
import { Store } from "../state/store";
import { HeatmapView } from "./view";

const PAIR = { model_x: "a", layer_x: "one", model_y: "b", layer_y: "two" };
const MIRRORED = { model_x: "b", layer_x: "two", model_y: "a", layer_y: "one" };

/** A model `a` with a layer `one`, a model `b` with a layer `two`, and one number between them. */
function state(): WidgetState {
  const about = { name: "cka", title: "CKA", kind: "similarity" as const, reasons: {} };
  return {
    run_id: "r",
    axes: [
      { model: "a", layers: ["one"], kinds: [""] },
      { model: "b", layers: ["two"], kinds: [""] },
    ],
    run: {
      state: "finished",
      n_batches: 2,
      n_batches_expected: 2,
      n_samples: 128,
      rate: null,
      seconds_left: null,
      notes: [],
      error: null,
      at: 0,
    },
    snapshot: zlibSync(new Uint8Array(4)),
    snapshot_meta: {
      run_id: "r",
      seq: 1,
      measures: [about],
      blocks: [{ measure: "cka", x: 0, y: 1, offset: 0, low: 0, high: 1, error_high: 1 }],
      n_batches: 2,
      n_samples: 128,
      complete: true,
    },
    measure: "cka",
    view: [0, 1],
    shows: "values",
    selection: null,
    pinned: [],
    open_x: {},
    open_y: {},
    scale: { mode: "unit", limits: {}, palette: "magma" },
    threshold: 0.02,
  };
}

let model: StandIn;
let store: Store;
let view: HeatmapView;

beforeEach(() => {
  vi.useFakeTimers();
  // nothing is laid out here, and what has no size is not drawn
  vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(600);
  vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(400);
  vi.stubGlobal("Option", optionOf); // the one constructor that happy-dom lacks
  model = new StandIn(state());
  store = new Store(model, true);
  view = new HeatmapView(store);
  document.body.append(view.element);
  view.attached();
});

afterEach(() => {
  view.close();
  store.close();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

function optionOf(text: string, value: string): HTMLOptionElement {
  return Object.assign(document.createElement("option"), { text, value });
}

function press(...keys: string[]): void {
  for (const key of keys) {
    view.element.querySelector(".stage")!.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    vi.advanceTimersByTime(50);
  }
}

it("holds the pair under the keyboard, and pins and unpins it", () => {
  press("ArrowDown", "Enter");
  expect([model.get("selection"), model.get("pinned")]).toEqual([PAIR, []]);
  press("Enter");
  expect(model.get("pinned")).toEqual([PAIR]);
  press("Enter");
  expect(model.get("pinned")).toEqual([]);
});

it("takes a pinned pair that is seen from its other side for the same pair", () => {
  model.set("pinned", [PAIR]);
  model.set("view", [1, 0]);
  vi.advanceTimersByTime(50);
  press("ArrowDown", "Enter");
  expect(model.get("selection")).toEqual(MIRRORED);
  press("Enter");
  expect(model.get("pinned")).toEqual([]);
});

it("says why it pins no more than four pairs", () => {
  const others = ["1", "2", "3", "4"].map((name) => ({ ...PAIR, layer_x: name }));
  model.set("pinned", others);
  press("ArrowDown", "Enter", "Enter");
  expect(model.get("pinned")).toBe(others);
  expect(view.element.querySelector(".heard")!.textContent).toMatch(/pairs are pinned/);
});
