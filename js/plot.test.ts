import { expect, it } from "vitest";
import { placeAt } from "./plot";

const shape: [number, number] = [2, 4];
const frame = { left: 100, top: 50, width: 400, height: 200 };

it("finds the cell under a point", () => {
  expect(placeAt(frame, shape, 100, 50)).toEqual({ row: 0, column: 0 });
  expect(placeAt(frame, shape, 399.9, 151)).toEqual({ row: 1, column: 2 });
  expect(placeAt(frame, shape, 500.5, 151)).toBeUndefined();
  expect(placeAt(frame, shape, 300, 49.9)).toBeUndefined();
});
