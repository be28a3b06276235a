import { expect, it } from "vitest";
import { axisOf, bandPath, linePath, spreadLabels, tickText } from "./chart";

const anywhere: [number, number] = [-Infinity, Infinity];

it("moves labels apart as little as possible, and keeps their order", () => {
  expect(spreadLabels([30, 32], 12, anywhere)).toEqual([25, 37]);
  expect(spreadLabels([32, 30], 12, anywhere)).toEqual([37, 25]);
  expect(spreadLabels([10, 50], 12, anywhere)).toEqual([10, 50]);
  expect(spreadLabels([], 12, anywhere)).toEqual([]);
});

it("keeps labels within their limits, and apart wherever they want to be", () => {
  let seed = 1;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (let trial = 0; trial < 300; trial++) {
    const heights = Array.from({ length: 1 + Math.floor(5 * random()) }, () => 10 + 98 * random() ** 3);
    const moved = spreadLabels(heights, 17, [10, 108]).sort((a, b) => a - b);
    expect(moved[0]).toBeGreaterThanOrEqual(10);
    expect(moved.at(-1)).toBeLessThanOrEqual(108);
    moved.slice(1).forEach((one, k) => expect(one - moved[k]!).toBeGreaterThanOrEqual(17 - 1e-9));
  }
});

it("begins the axis of similarities at 0, unless all lines run far above or one runs below", () => {
  expect(axisOf(0.3, 0.9, "similarity")).toEqual({ ends: [0, 1], ticks: [0, 0.5, 1] });
  expect(axisOf(0.86, 0.95, "similarity").ends).toEqual([0.8, 1]);
  expect(axisOf(-0.02, 0.9, "similarity")).toEqual({ ends: [-0.25, 1], ticks: [-0.25, 0, 0.5, 1] });
});

it("never cuts off a value", () => {
  for (const kind of ["similarity", "distance", "difference"] as const) {
    for (const [low, high] of [
      [0.2, 1.01],
      [-1.4, 0.3],
      [0.1, 7],
      [-0.04, 0.06],
      [-0.5, -0.2],
      [0, 0],
    ] as const) {
      const { ends, ticks } = axisOf(low, high, kind);
      expect(ends[0]).toBeLessThanOrEqual(low);
      expect(ends[1]).toBeGreaterThanOrEqual(high);
      expect(ends[1]).toBeGreaterThan(ends[0]);
      expect(ticks.length).toBeGreaterThan(1);
      for (const tick of ticks) expect(tick >= ends[0] && tick <= ends[1]).toBe(true);
    }
  }
});

it("writes ticks without noise", () => {
  expect([tickText(0.1 + 0.2), tickText(-0.25), tickText(0)]).toEqual(["0.3", "−0.25", "0"]);
});

it("draws lines, and bands only where there are errors", () => {
  expect(
    linePath([
      [0, 1],
      [2.126, 3],
    ]),
  ).toBe("M0 1L2.13 3");
  expect(linePath([])).toBe("");
  const band = bandPath([
    [0, NaN, NaN],
    [1, 5, 3],
    [2, 6, 2],
    [3, NaN, 1],
    [4, 5, 3],
  ]);
  expect(band).toBe("M1 5L2 6L2 2L1 3Z");
});
