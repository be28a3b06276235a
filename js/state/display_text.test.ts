import { expect, it } from "vitest";
import type { RunInfo } from "./model";
import { clock, notesOf, numberTexts, paceText, runText, valueText, whyMissing } from "./display_text";
import { withEntry } from "./records";

it("lets the digits follow the error", () => {
  expect(numberTexts(0.87654321, 0.012)).toEqual(["0.877", "± 0.012"]);
  expect(numberTexts(0.87654321, 0.00034)).toEqual(["0.87654", "± 0.00034"]);
  expect(numberTexts(-0.25, 0.3)).toEqual(["−0.25", "± 0.30"]);
  expect(numberTexts(0.5, NaN)).toEqual(["0.500", "± n/a, needs 2 batches"]);
});

it("says why a cell is missing", () => {
  const cells = {
    rows: ["used", "unused"],
    columns: ["used"],
    modelX: "a",
    modelY: "b",
    about: { name: "cka", title: "CKA", kind: "similarity" as const, reasons: { a: { unused: "never ran" } } },
    values: Float32Array.from([0.5, NaN]),
    stderr: Float32Array.from([0.01, NaN]),
    seq: 1,
    samples: 64,
  };
  expect(valueText(cells, 0, 0)).toBe("CKA 0.500 ± 0.010");
  expect(valueText(cells, 1, 0)).toBe("CKA missing: unused: never ran");
});

it("says of models and layers of any name why a cell is missing", () => {
  const about = { name: "cka", title: "CKA", kind: "similarity" as const };
  const names = ["__proto__", "constructor", "toString"];
  for (const name of names) {
    const pair = { model_x: name, layer_x: name, model_y: name, layer_y: "two" };
    expect(whyMissing({ ...about, reasons: {} }, pair)).toBe("not computed");
    expect(whyMissing({ ...about, reasons: withEntry({}, name, {}) }, pair)).toBe("not computed");
    const reasons = withEntry({}, name, withEntry({}, name, "never ran"));
    expect(whyMissing({ ...about, reasons }, pair)).toBe(`${name}: never ran`);
  }
});

it("says where the run is", () => {
  const run: RunInfo = {
    state: "running",
    n_batches: 5,
    n_batches_expected: 8,
    n_samples: 1320,
    rate: 148.4,
    seconds_left: 0.7,
    notes: [],
    error: null,
    at: 0,
  };
  expect(runText(run)).toBe("Batch 5 of 8");
  expect(paceText(run)).toBe("1,320 samples  148 samples/s  0:01 left");
  expect(runText({ ...run, n_batches: 0 })).toBe("Waiting for the loader");
  expect(runText({ ...run, n_batches_expected: null, state: "paused" })).toBe("Paused at batch 5");
  expect(runText({ ...run, state: "failed", error: "ValueError: x" })).toBe("Failed after batch 5 of 8: ValueError: x");
  const notes = ["the run failed after 5 batches (ValueError: x); the numbers are those until then", "few samples"];
  expect(notesOf({ ...run, state: "failed", error: "ValueError: x", notes })).toEqual(["few samples"]);
  expect(notesOf({ ...run, state: "failed", error: null, notes })).toEqual(notes);
  expect(notesOf({ ...run, state: "finished", notes })).toEqual(notes);
  expect([clock(59.2), clock(3601)]).toEqual(["1:00", "1:00:01"]);
});
