import { expect, it } from "vitest";
import type { Store } from "../state/store";
import { Folding } from "./folding";

const LAYERS = ["stem", ...["one", "two"].flatMap((block) => ["a", "b", "c"].map((name) => `${block}.${name}`))];

/** The folding of two models of these names, of which nothing has been folded or opened yet. */
function folding(...models: string[]) {
  const axes = models.map((model) => ({ model, layers: LAYERS, kinds: LAYERS.map(() => "") }));
  const state: Record<string, unknown> = { axes, view: [0, 1], open_x: {}, open_y: {} };
  const store = { get: (name: string) => state[name], set: (name: string, value: unknown) => (state[name] = value) };
  return { state, folding: new Folding(store as unknown as Store, { filter: "", foldBoth: false, bestMatch: false }) };
}

it.each(["seed 0", "__proto__", "constructor", "toString"])(
  "folds and opens the blocks of a model named %s",
  (name) => {
    const made = folding(name, "other");
    const rows = () => made.folding.sides[0].entries.length;
    expect(rows()).toBe(7);
    made.folding.toggle({ side: "x", path: "one" });
    expect(rows()).toBe(5);
    expect(JSON.stringify(made.state.open_x)).toBe(`{"${name}":["two"]}`);
    made.folding.openTo(0);
    expect(rows()).toBe(3);
    made.folding.openTo(undefined);
    expect(rows()).toBe(7);
    expect(JSON.stringify(made.state.open_x)).toBe("{}");
  },
);
