import { expect, it } from "vitest";
import { apart, pointsOf } from "./curve";

it("leaves moments without a number out of the line", () => {
  const curve = { n_batches: [1, 2, 3], values: [null, 0.5, 0.6], stderr: [null, null, 0.1] };
  expect(pointsOf(curve)).toEqual([
    { batch: 2, value: 0.5, error: NaN },
    { batch: 3, value: 0.6, error: 0.1 },
  ]);
});

it("moves labels apart, and keeps their order", () => {
  expect(apart([30, 31])).toEqual([30, 42]);
  expect(apart([31, 30])).toEqual([42, 30]);
  expect(apart([10, 50])).toEqual([10, 50]);
});
