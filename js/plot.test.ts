import { expect, it } from "vitest";
import { placeAt } from "./plot";

const cells = {
  rows: ["a", "b"],
  columns: ["x", "y", "z", "w"],
  modelX: "",
  modelY: "",
  values: new Float32Array(8),
  stderr: new Float32Array(8),
};
const frame = { left: 100, top: 50, width: 400, height: 200 };

it("finds the cell under a point", () => {
  expect(placeAt(frame, cells, 100, 50)).toEqual({ row: 0, column: 0 });
  expect(placeAt(frame, cells, 399.9, 151)).toEqual({ row: 1, column: 2 });
  expect(placeAt(frame, cells, 500.5, 151)).toBeUndefined();
  expect(placeAt(frame, cells, 300, 49.9)).toBeUndefined();
});
