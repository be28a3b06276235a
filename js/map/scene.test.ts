import { expect, it, vi } from "vitest";
import type { MeasureInfo, RunInfo } from "../state/model";
import type { Cells } from "../state/snapshot";
import { colourNumbers, rememberingColours } from "./palette";
import { colourNote, type SceneInputs, sceneOf } from "./scene";
import { Sides } from "./side";

const about: MeasureInfo = { name: "cka", title: "CKA", kind: "similarity", reasons: {} };
const difference: MeasureInfo = { ...about, name: "cka-dcka", kind: "difference" };
const run = { state: "running", n_samples: 64 } as RunInfo;
const sides = new Sides();
const axis = (model: string) => ({ model, layers: ["p", "q"], kinds: ["", ""] });
const latest: Cells = {
  rows: ["p", "q"],
  columns: ["p", "q"],
  modelX: "a",
  modelY: "b",
  about,
  values: Float32Array.from([0, 0.5, 1, NaN]),
  stderr: Float32Array.from([0.1, 0, 0.05, NaN]),
  seq: 1,
  samples: 64,
};
const inputs: SceneInputs = {
  sides: [sides.side(axis("a"), [], ""), sides.side(axis("b"), [], "")],
  about,
  latest,
  run,
  shows: "values",
  scale: { mode: "unit", limits: {}, palette: "magma" },
  threshold: 0.02,
  held: null,
  pinned: [],
  filter: "",
  bestMatch: true,
};

it("colours the values, and hatches by the threshold", () => {
  const scene = sceneOf(inputs);
  expect(scene.shown).toBe(latest.values);
  expect([...scene.steps]).toEqual([0, 128, 255, -1]);
  expect([scene.threshold, scene.best, scene.emptyText, colourNote(scene)]).toEqual([0.02, true, "", ""]);
});

it("colours the errors on a scale of their own, which hatches nothing and is named", () => {
  const scene = sceneOf({ ...inputs, shows: "errors" });
  expect(scene.shown).toBe(latest.stderr);
  expect(scene.source).toMatchObject({ name: "cka ±", threshold: 0.02 });
  expect(scene.colours.limits).toEqual([0, 0.1]);
  expect([scene.threshold, colourNote(scene)]).toEqual([undefined, "colours are standard errors"]);
  const frozen = {
    mode: "range" as const,
    limits: { "cka ±": [0.01, 0.03] as [number, number] },
    palette: "magma" as const,
  };
  const note = colourNote(sceneOf({ ...inputs, shows: "errors", scale: frozen }));
  expect(note).toBe("colours are standard errors, colours from 0.010 to 0.030");
});

it("has no best match where the measure is a difference", () => {
  expect(sceneOf({ ...inputs, about: difference }).best).toBe(false);
});

it("says why the map is empty", () => {
  const text = (changed: Partial<SceneInputs>) => sceneOf({ ...inputs, ...changed }).emptyText;
  expect(text({ latest: undefined })).toBe("waiting for the loader");
  expect(text({ latest: undefined, run: { ...run, state: "ready" } })).toBe("not started");
  const filtered = (filter: string): SceneInputs["sides"] => [sides.side(axis("a"), [], filter), inputs.sides[1]];
  expect(text({ filter: "x", sides: filtered("x") })).toBe("no layer is like “x”");
  expect(text({ filter: "p", sides: filtered("p") })).toBe("");
});

it("shows no numbers of another order of layers, nor those of no samples", () => {
  const scene = sceneOf({ ...inputs, latest: { ...latest, columns: ["q", "p"] } });
  expect([scene.cells, scene.shown.length, scene.emptyText]).toEqual([undefined, 0, "waiting for the loader"]);
  const none = { ...run, n_samples: 0 };
  expect(sceneOf({ ...inputs, run: none, latest: { ...latest, samples: 0 } }).cells).toBeUndefined();
  expect(sceneOf({ ...inputs, run: none }).cells).toBe(latest);
});

it("keeps colours and steps while neither the numbers nor the scale change", () => {
  const colour = vi.fn(rememberingColours());
  const first = sceneOf(inputs, colour);
  expect(sceneOf({ ...inputs, pinned: [] }, colour).steps).toBe(first.steps);
  const others = sceneOf({ ...inputs, latest: { ...latest, values: Float32Array.from([1, 1, 1, 1]) } }, colour);
  expect(others.colours).toBe(first.colours);
  expect([...others.steps]).toEqual([255, 255, 255, 255]);
  const scale = { ...inputs.scale, palette: "viridis" as const };
  const other = sceneOf({ ...inputs, scale }, colour);
  expect(other.colours.colours).toEqual(colourNumbers(latest.values, about, scale).colours.colours);
  expect(other.colours.colours).not.toEqual(first.colours.colours);
});
