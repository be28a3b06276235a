// @vitest-environment happy-dom
import { expect, it } from "vitest";
import { TextWidths } from "../parts/text";
import { bracketAt, bracketLevels, bracketOffset, columnLabelAt, layoutOf, placeAt, rowLabelAt, TILT } from "./layout";
import { Sides } from "./side";

const axis = { model: "a", layers: ["m.x", "m.n.y", "m.n.z", "top"], kinds: ["", "", "", ""] };
const side = new Sides().side(axis, ["m", "m.n"], "");

it("finds the cell under a point, also when only a part is seen", () => {
  const frame = { left: 100, top: 50, width: 400, height: 200 };
  const all = { x0: 0, x1: 4, y0: 0, y1: 2 };
  expect(placeAt(frame, all, 100, 50)).toEqual({ row: 0, column: 0 });
  expect(placeAt(frame, all, 399.9, 151)).toEqual({ row: 1, column: 2 });
  expect(placeAt(frame, all, 500.5, 151)).toBeUndefined();
  expect(placeAt(frame, all, 300, 49.9)).toBeUndefined();
  expect(placeAt(frame, { x0: 10.5, x1: 12.5, y0: 3, y1: 4 }, 320, 60)).toEqual({ row: 3, column: 11 });
});

it("leaves room for labels, brackets and profiles, and most of it to the cells", () => {
  const layout = layoutOf(new TextWidths(), side, side, 560, 450);
  expect(layout.left).toBeGreaterThan(layout.rowRoom + layout.rowGutter);
  expect(layout.top).toBeGreaterThanOrEqual(44);
  expect(layout.left + layout.width).toBeLessThan(560);
  expect(layout.top + layout.height).toBeLessThan(450);
  expect(layout.width * layout.height).toBeGreaterThan(0.5 * 560 * 450);
});

it("finds labels and brackets under a point", () => {
  const layout = layoutOf(new TextWidths(), side, side, 560, 450);
  const labels = [{ at: 20, name: "m", strong: false }];
  expect(rowLabelAt(layout, labels, 10, layout.top + 24)).toBe(labels[0]);
  expect(rowLabelAt(layout, labels, 10, layout.top + 40)).toBeUndefined();
  expect(rowLabelAt(layout, labels, layout.left - 1, layout.top + 20)).toBeUndefined();
  const [x, y] = [layout.left + 20, layout.top - layout.columnGutter - 4];
  expect(columnLabelAt(layout, labels, x + 30 * Math.cos(TILT), y - 30 * Math.sin(TILT))).toBe(labels[0]);
  expect(columnLabelAt(layout, labels, x + 30, y - 30 * Math.sin(TILT))).toBeUndefined();
  const levels = bracketLevels(side.brackets);
  expect(levels).toEqual([0, 1]);
  expect(bracketAt(side, bracketOffset(levels, 0), 0.5)).toBe("m");
  expect(bracketAt(side, bracketOffset(levels, 1), 1.5)).toBe("m.n");
  expect(bracketAt(side, bracketOffset(levels, 1), 0.5)).toBeUndefined();
  expect(bracketAt(side, bracketOffset(levels, 0), 3.5)).toBeUndefined();
});
